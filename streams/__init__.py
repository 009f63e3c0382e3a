"""The flow, in ten lines.

agents -> agent.events
  intake   validates, redacts, re-batches            -> tocsin.timeline | tocsin.deadletters
  detect   folds sessions, their facts, and scopes   -> tocsin.findings, tocsin.exposure
  respond  the incident book: what people are owed   -> Slack pages, Jira tickets, tocsin.incidents
  learn    what people decided, release gates        -> tocsin.outcomes, tocsin.gates
  web      pages and API: incidents, gates, health
Streams find, a database owes, carriers tell. Read next: topics.py, step.py, one detector, one story test.
"""
