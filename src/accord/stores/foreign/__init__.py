"""What other tools write and read (layer 3): data files in the six types that TRL names, and live trackers.

``tables`` gets fields out of files, ``conversations`` turns out of texts, ``rows`` a DataRow out of fields;
``prompts`` is what the rest of Accord calls.
``exports`` and ``imports`` are feedback as files of other tools; ``giving`` takes it out of a labelling
database; ``cells`` makes cells of a spreadsheet harmless. Not here: which rows a window takes
(``accord.sources``).
"""
