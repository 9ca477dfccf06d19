"""Keeping: bytes that anyone can check without Accord, and what was signed over them (layer of stores).

- ``tensors.py``: safetensors parsed by hand, and cut so that frozen layers are stored once.
- ``manifest.py``: what the files of a folder hold, as digests; two roots, one for signatures of others.
- ``steps.py``: every change an archive makes to the disk. ``ocfl.py``: inventories, and where objects lie.
- ``content.py``: files into a version and out of it. ``recovery.py``: locks, and what a kill left behind.
- ``archive.py``: the archive itself, to which versions are added.
- ``verifying.py``: all of it checked; ``examining.py``: object by object, ``attested.py``: by what is signed.
  ``fixity.py``: bytes read again, and the log of that; ``sound.py``: what an object has to be.
- ``copies.py``: whole archives elsewhere. ``repair.py``: one place mended from others, through
  ``transfer.py``; ``roots.py``: the files of a storage root itself.
- ``keys.py``, ``roles.py``: who signs, as what, from when until when.
- ``predicates.py``, ``envelopes.py``, ``statements.py``: what is signed, in which form, and read as a chain;
  ``schemas/`` for readers without Accord. ``faults.py``: all that a check found wrong, as values.
- ``intake.py``: what is taken in, and which runs made it. ``sifting.py``: which files, by name and kind;
  ``magic.py``: and by their bytes. ``spoken.py``: chat templates, tried by the renderer that is handed in.
  ``untrusted.py``: what others wrote, read and shown so that it can do nothing.
- ``outgoing.py``: a model goes out, with ``cards.py``: the model card.
- ``keeping.py``: a model is kept, step by step; ``adding.py``: statements onto a chain, one signer at a time;
  ``entries.py``: what is held of it, read back; ``evidence.py``: Records into what is signed;
  ``revival.py``: the drill.
- ``retirement.py``: the states of a kept model and what each step takes, pure; ``retiring.py`` gathers, signs
  and adds. ``asked.py``, ``interview.py``, ``coding.py``: what a model is asked before it is retired, and
  what its answers come to. ``replies.py``: what it is answered, drafted in a file.

``manifest.py`` is the example to follow. Not here: engines (they are handed in as ports), torch, and any way
to remove what is kept.
"""
