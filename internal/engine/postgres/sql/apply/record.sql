-- Record what the server made of the objects that were just created.
UPDATE postern.object o SET definition = coalesce(/*rendered*/, '') WHERE o.definition = ''
