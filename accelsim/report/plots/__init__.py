"""Every picture that accelsim draws: one family a module, all in the look of `style`, on axes that the caller gives.

`plot_*(ax, ...)` draws into axes; `*_picture(s)` returns the SVG and the PNG under the names of their files.
"""
