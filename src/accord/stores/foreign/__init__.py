"""Data of other tools, in and out (layer 3). Here: prompts and completions as JSON lines."""
