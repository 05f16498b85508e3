"""What calls of models cost: reserved before the vendor is asked, settled after it has answered, read by reports.

Here belongs what turns tokens into money and writes it down, once; counting tokens is the adapters' business, and how
much a person may spend is not decided here. Read `ledger.py` first.
"""
