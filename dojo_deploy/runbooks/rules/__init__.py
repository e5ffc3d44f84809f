"""Rules for one line, a file per noun. To add one: an entry in its file, and the line that it is for in the tests."""

from dojo_deploy.runbooks.rules import application, data, shell, words

RULES = (*shell.RULES, *application.RULES, *data.RULES, *words.RULES)
