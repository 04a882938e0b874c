"""Token ids in bulk: what a tokenizer of `tokenizers` gives, several times faster where that can be proved.

`TextTokenizer` is what engines use; the other modules are its parts.
"""

from isogloss.engines.tokenising.chunks import Ids
from isogloss.engines.tokenising.few_texts import TokenizerFile
from isogloss.engines.tokenising.proved import TextTokenizer

__all__ = ["Ids", "TextTokenizer", "TokenizerFile"]
