"""What is wrong with hosts before anything is deployed to them: asked all at once, read-only, each with its mend.

wanted    what an inventory needs of one host          look      the one question to a host, and its answer
judge     the answer, held against what is wanted      versions  what `engines` of package.json allow
beside    the store, the database, the build
run       all of it, side by side
"""
