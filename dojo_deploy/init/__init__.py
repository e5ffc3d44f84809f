"""What `dojo init` does: a repository is looked at, and gets files to deploy it with. Nothing of it is run.

literals     the values of a JavaScript object, read and never evaluated
ecosystem    PM2's ecosystem file -> its apps
packages     package.json of the repository and of the folders below it
sources      what the code says: its port, its health answer
project      all of it: what was found
running      what was found -> processes and ports
building     what was found -> the lines that build it
words        how a value, and a comment beside it, is written
inventory_file, strategy_file
             what was found -> the text of the files
"""
