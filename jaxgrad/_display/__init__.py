"""How results look in a list, a terminal and a notebook, whatever made them.

A class of results gets two lines: `__repr__ = short_repr`, so that a notebook stores
one line beside a picture, and `_repr_html_ = fields_html`, or a method that calls
`table` or `note`. Everything is escaped here.
"""

from jaxgrad._display.fields import fields_html as fields_html
from jaxgrad._display.fields import short_repr as short_repr
from jaxgrad._display.html import note as note
from jaxgrad._display.html import table as table
from jaxgrad._display.text import brief as brief
from jaxgrad._display.text import columns_of as columns_of
from jaxgrad._display.text import cut as cut
from jaxgrad._display.text import described as described
from jaxgrad._display.text import number as number
from jaxgrad._display.text import padded as padded
from jaxgrad._display.text import plain as plain
from jaxgrad._display.text import type_text as type_text
