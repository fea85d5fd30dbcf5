"""Names and behaviour of bert4keras 0.11, for scripts that were written for it.

Scripts import them from where they were (`bert4keras.layers.Loss`, `bert4keras.snippets`, ...); the
tables in `_old_names` lead here. Each class is a thin adapter over an implementation of the
package, which never imports this part. Models that contain these layers can be saved and loaded.
docs/migrating.md names the new way of each.
"""

from __future__ import annotations

PACKAGE = "bert4keras.legacy"
