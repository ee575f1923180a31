// The tour of README.md with node-postgres. Connects with the PG* variables; PGSSLROOTCERT is read here.
'use strict'
const fs = require('fs')
const { Client, types } = require('pg')

types.setTypeParser(types.builtins.DATE, (v) => v)
const show = (name, rows) =>
  console.log(name + ': ' + rows.map((r) => r.map((v) => (v === null ? '' : String(v))).join('|')).join('; '))

async function main () {
  const client = new Client({ ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } })
  await client.connect()
  const rows = async (text, values, more) => (await client.query({ text, values, rowMode: 'array', ...more })).rows
  console.log('tls: ' + (client.connection.stream.encrypted ? 'yes' : 'no'))
  const list = 'SELECT id, email, ssn, balance FROM customers ORDER BY id'
  show('text', await rows(list))
  show('binary', await rows('SELECT id, email, ssn, balance::float8::int FROM customers ORDER BY id', [], { binary: true }))
  show('date', await rows('SELECT dob FROM patients'))
  let last
  for (const id of [6, 1, 2, 6, 1, 2]) {
    last = await rows('SELECT id, email FROM customers WHERE id = $1', [id], { name: 'by id' })
  }
  show('prepared', last)
  await client.query('BEGIN')
  try {
    await client.query('SELECT get_customer_ssn(3)')
  } catch (e) {
    console.log('refused: ' + e.code)
  }
  await client.query('ROLLBACK')
  show('after', await rows('SELECT count(*) FROM customers'))
  await client.end()
}

main().catch((e) => { console.error(e); process.exit(1) })
