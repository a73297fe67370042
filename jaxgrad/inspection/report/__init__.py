"""What `explain` and the other entry points return, and how it is shown.

`data` holds plain dataclasses without any rendering. `text`, `html`,
`svg` and `dot` render them; `rows`, `marks`, `drawing` and `layout` are what those
share. `explanation` is on top: `Explanation` is a `Report` with its renderings.
"""
