"""What the server of processes has behind it beside imports: the shipped panels, read once for all forks."""

from accord.panels import read_panel, shipped_panels

for name in shipped_panels():
    read_panel(name)
