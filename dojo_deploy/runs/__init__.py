"""One run, from what was asked to what is remembered of it.

wishes     what a caller asks of it, whatever its strategy
which      the release that it is about: built, CI's, an earlier one, what runs
asking     what its strategy wants to know before it plans
begin      the lock taken, the site looked at, the change planned, all of it in the store
conduct    from the beginning to the end, or from where it was left
perform    the plan carried out and told, the record written, the fleet counted
reports    a run, told again as one file
"""
