"""Pages whose figures can be zoomed, selected and asked: points of a sweep, a run over time. Extra `[interactive]`, Bokeh.

One file each, without network. Only the page's own scripts may run: its content security policy has a hash of each. Bokeh writes styles as
it draws, so styles are open, but no style can load anything.
"""
