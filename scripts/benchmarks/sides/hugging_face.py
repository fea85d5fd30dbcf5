"""transformers on torch, in its plain eager loop."""

from __future__ import annotations

import os
import tempfile

import torch
import transformers

from benchmarks import inputs

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def versions() -> dict[str, str]:
    return {"transformers": transformers.__version__, "torch": torch.__version__}


def config():
    return transformers.BertConfig(**inputs.MINILM_CONFIG)


def tensors(data: dict) -> dict:
    return {
        "input_ids": torch.from_numpy(data["token_ids"]).long(),
        "token_type_ids": torch.from_numpy(data["segment_ids"]).long(),
        "attention_mask": torch.from_numpy(data["mask"]).long(),
    }


def encode(options: dict):
    model = transformers.BertModel.from_pretrained(options["checkpoint"], add_pooling_layer=False)
    model.eval()
    features = tensors(inputs.batch())

    def run() -> float:
        with torch.inference_mode():
            outputs = model(**features).last_hidden_state
        return float(outputs[:, 0].abs().mean())

    return run, 1


def train(options: dict):
    model = transformers.BertForSequenceClassification(config()).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=inputs.LEARNING_RATE)
    steps = options["steps"]
    data = inputs.batch(steps)
    features, labels = tensors(data), torch.from_numpy(data["labels"]).long()

    def run() -> None:
        for step in range(steps):
            rows = slice(step * inputs.BATCH, (step + 1) * inputs.BATCH)
            part = {name: value[rows] for name, value in features.items()}
            loss = model(**part, labels=labels[rows]).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run, steps


def pretrain(options: dict):
    """Trainer and its collator, on blocks cut out of the concatenated texts beforehand."""
    steps, length = options["steps"], inputs.LENGTH
    tokenizer = transformers.AutoTokenizer.from_pretrained(options["checkpoint"])
    texts, _ = inputs.read_samples(options["samples"])
    ids = [i for text in texts for i in tokenizer(text)["input_ids"]]
    rows = [{"input_ids": ids[i : i + length]} for i in range(0, len(ids) - length, length)]
    trainer = transformers.Trainer(
        transformers.BertForMaskedLM(config()),
        transformers.TrainingArguments(
            tempfile.mkdtemp(),
            per_device_train_batch_size=inputs.BATCH,
            max_steps=steps,
            learning_rate=inputs.LEARNING_RATE,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        rows,
    )

    def run() -> None:
        trainer.train()

    return run, steps


def generate(options: dict):
    """BERT under a causal mask, greedy, with its default cache; nothing ends early."""
    model = transformers.BertLMHeadModel(
        transformers.BertConfig(is_decoder=True, **inputs.MINILM_CONFIG)
    ).eval()
    ids = torch.from_numpy(inputs.prompts()).long()
    new = {"max_new_tokens": inputs.NEW_TOKENS, "min_new_tokens": inputs.NEW_TOKENS}

    def run() -> None:
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **new)

    return run, 1


def tokenize(options: dict):
    tokenizer = transformers.AutoTokenizer.from_pretrained(options["checkpoint"])
    texts, _ = inputs.read_samples(options["samples"])

    def run() -> float:
        encoded = tokenizer(texts, return_offsets_mapping=True)
        return sum(map(sum, encoded["input_ids"]))

    return run, len(texts)


def load(options: dict):
    def run() -> None:
        transformers.BertModel.from_pretrained(options["checkpoint"])

    return run, 1


CASES = {"encode": encode, "train": train, "pretrain": pretrain, "generate": generate}
CASES |= {"tokenize": tokenize, "load": load}
