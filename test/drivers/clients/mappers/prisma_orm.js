// What Prisma asks of a database, with its driver adapter and the query compiler that is WebAssembly. Connects with the PG* variables.
'use strict'
const fs = require('fs')
const { PrismaClient, Prisma } = require(process.env.PRISMA_CLIENT)
const { PrismaPg } = require('@prisma/adapter-pg')

const show = (name, rows) => console.log(name + ': ' + rows.join('; '))
const refused = async (name, f) => {
  try { show(name, [JSON.stringify(await f())]) } catch (e) { console.log(name + ': refused ' + ((e.meta && e.meta.driverAdapterError && e.meta.driverAdapterError.cause && e.meta.driverAdapterError.cause.originalCode) || (e.meta && e.meta.code) || e.code || e.message)) }
}

async function main () {
  const adapter = new PrismaPg({
    host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, password: process.env.PGPASSWORD, database: process.env.PGDATABASE,
    ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT) }
  })
  const prisma = new PrismaClient({ adapter, log: process.env.SHOW ? ['query'] : [] })
  show('masked', (await prisma.customers.findMany({ orderBy: { id: 'asc' } })).map((c) => [c.id, c.email, c.ssn, c.balance].join('|')))
  show('joined', (await prisma.customers.findMany({ include: { orders: { orderBy: { id: 'asc' } } }, orderBy: { id: 'asc' } })).map((c) => c.id + ' ' + c.orders.map((o) => o.id + ' ' + o.memo)))
  show('some', (await prisma.customers.findMany({ where: { orders: { some: { total: { gt: 5 } } } }, orderBy: { id: 'asc' } })).map((c) => c.id))
  show('page', (await prisma.customers.findMany({ where: { name: { contains: 'visible', mode: 'insensitive' }, region: { in: ['EU', 'US'] } }, orderBy: { id: 'desc' }, take: 2, skip: 1 })).map((c) => c.id))
  show('cursor', (await prisma.customers.findMany({ cursor: { id: 2 }, take: 2, orderBy: { id: 'asc' } })).map((c) => c.id))
  show('group', (await prisma.customers.groupBy({ by: ['region'], _count: true, _sum: { balance: true } })).map((r) => r.region + ' ' + r._count + ' ' + r._sum.balance))
  show('aggregate', [JSON.stringify(await prisma.orders.aggregate({ _max: { total: true }, _count: { _all: true } }))])
  show('distinct', (await prisma.orders.findMany({ distinct: ['customer_id'], select: { customer_id: true }, orderBy: { customer_id: 'asc' } })).map((o) => o.customer_id))
  show('raw', (await prisma.$queryRaw`SELECT id FROM customers WHERE email = ${'CANARY-EML-1@ex.test'} OR id = ${2}`).map((r) => r.id))
  await prisma.$transaction(async (t) => {
    await t.products.create({ data: { id: 50, sku: 'prisma', price: 1 } })
    await t.products.createMany({ data: [{ id: 51, sku: 'a' }, { id: 52, sku: 'b' }], skipDuplicates: true })
    await t.products.update({ where: { id: 50 }, data: { price: { increment: 2.5 } } })
    await t.products.upsert({ where: { id: 52 }, create: { id: 52, sku: 'c' }, update: { sku: 'again' } })
    await t.products.updateMany({ where: { id: { gte: 51 } }, data: { price: 4 } })
    await t.products.delete({ where: { id: 51 } })
    show('written', (await t.products.findMany({ where: { id: { gte: 50 } }, orderBy: { id: 'asc' } })).map((p) => [p.id, p.sku, p.price].join('|')))
    await t.products.deleteMany({ where: { id: { gte: 50 } } })
  }, { isolationLevel: Prisma.TransactionIsolationLevel.RepeatableRead })
  await refused('masked update', () => prisma.customers.update({ where: { id: 1 }, data: { email: 'x' } }))
  await refused('other table', () => prisma.$queryRaw`SELECT * FROM payroll`)
  await prisma.$disconnect()
}

main().catch((e) => { console.error(e); process.exit(1) })
