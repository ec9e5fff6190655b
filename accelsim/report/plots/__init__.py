"""All pictures of accelsim: one module per family, all in the style of `style`, on axes given by the caller.

`plot_*(ax, ...)` draws into axes; `*_picture(s)` returns the SVG and the PNG under the names of their files.
"""
