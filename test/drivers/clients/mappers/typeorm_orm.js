// What TypeORM asks of a database. Connects with the PG* variables; PGSSLROOTCERT is read here.
'use strict'
const fs = require('fs')
require('reflect-metadata')
const { DataSource, EntitySchema, In, ILike } = require('typeorm')

const column = (type, more) => ({ type, nullable: true, ...more })
const Customer = new EntitySchema({
  name: 'customers',
  columns: { id: { type: 'int', primary: true }, name: { type: 'text' }, email: column('text'), ssn: column('text'), region: column('text'), balance: column('numeric') },
  relations: { orders: { type: 'one-to-many', target: 'orders', inverseSide: 'customer' } }
})
const Order = new EntitySchema({
  name: 'orders',
  columns: { id: { type: 'int', primary: true }, total: column('numeric'), memo: column('text') },
  relations: { customer: { type: 'many-to-one', target: 'customers', joinColumn: { name: 'customer_id' }, inverseSide: 'orders' } }
})
const Product = new EntitySchema({ name: 'products', columns: { id: { type: 'int', primary: true }, sku: column('text'), price: column('numeric') } })
const show = (name, rows) => console.log(name + ': ' + rows.join('; '))
const refused = async (name, f) => {
  try { show(name, [JSON.stringify(await f())]) } catch (e) { console.log(name + ': refused ' + (e.code || e.message)) }
}

async function main () {
  const source = new DataSource({
    type: 'postgres', host: process.env.PGHOST, port: Number(process.env.PGPORT), username: process.env.PGUSER, password: process.env.PGPASSWORD,
    database: process.env.PGDATABASE, ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT) }, entities: [Customer, Order, Product], logging: process.env.SHOW ? true : ['warn']
  })
  await source.initialize()
  const customers = source.getRepository('customers')
  const runner = source.createQueryRunner()
  show('has table', [await runner.hasTable('customers'), await runner.hasTable('payroll'), await runner.hasColumn('customers', 'ssn')])
  await refused('load table', async () => (await runner.getTable('customers')).columns.map((c) => c.name))
  show('masked', (await customers.find({ order: { id: 'ASC' } })).map((c) => [c.id, c.email, c.ssn, c.balance].join('|')))
  show('joined', (await customers.find({ relations: { orders: true }, order: { id: 'ASC', orders: { id: 'ASC' } } })).map((c) => c.id + ' ' + c.orders.map((o) => o.id + ' ' + o.memo)))
  show('by query', (await customers.find({ relations: { orders: true }, relationLoadStrategy: 'query', order: { id: 'ASC' } })).map((c) => c.id + ' ' + c.orders.length))
  const [page, n] = await customers.findAndCount({ where: { name: ILike('%visible%'), region: In(['EU', 'US']) }, order: { id: 'DESC' }, take: 2, skip: 1, relations: { orders: true } })
  show('page', [n, ...page.map((c) => c.id)])
  show('group', (await customers.createQueryBuilder('c').select('c.region', 'region').addSelect('COUNT(*)', 'n').addSelect('SUM(c.balance)', 'total').groupBy('c.region').getRawMany()).map((r) => r.region + ' ' + r.n + ' ' + r.total))
  show('bound', (await customers.createQueryBuilder('c').where('c.email = :mail OR c.id = :id', { mail: 'CANARY-EML-1@ex.test', id: 2 }).getMany()).map((c) => c.id))
  await source.transaction('REPEATABLE READ', async (m) => {
    await m.save('products', [{ id: 50, sku: 'typeorm', price: 1 }, { id: 51, sku: 'a' }])
    await m.update('products', { id: 50 }, { price: 2.5 })
    await m.increment('products', { id: 50 }, 'price', 1)
    await m.upsert('products', [{ id: 50, sku: 'again' }, { id: 52, sku: 'b' }], ['id'])
    const p = await m.findOne('products', { where: { id: 51 }, lock: { mode: 'pessimistic_write' } })
    await m.remove('products', p)
    await m.transaction(async (inner) => { await inner.insert('products', { id: 53, sku: 'c' }) })
    show('written', (await m.find('products', { where: { id: In([50, 51, 52, 53]) }, order: { id: 'ASC' } })).map((x) => [x.id, x.sku, x.price].join('|')))
    await m.createQueryBuilder().delete().from('products').where('id >= :id', { id: 50 }).returning('id').execute()
  })
  const stream = await customers.createQueryBuilder('c').select(['c.id']).orderBy('c.id').getRawMany()
  show('raw', stream.map((r) => r.c_id))
  await refused('masked update', () => customers.update({ id: 1 }, { email: 'x' }))
  await refused('other table', () => source.query('SELECT * FROM payroll'))
  await refused('synchronize', () => source.synchronize())
  await refused('migrations', () => source.showMigrations())
  await source.destroy()
}

main().catch((e) => { console.error(e.query, e); process.exit(1) })
