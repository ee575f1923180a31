// What Sequelize asks of a database. Connects with the PG* variables; PGSSLROOTCERT is read here.
'use strict'
const fs = require('fs')
const { Sequelize, DataTypes, Op, QueryTypes } = require('sequelize')

const sequelize = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, process.env.PGPASSWORD, {
  host: process.env.PGHOST, port: Number(process.env.PGPORT), dialect: 'postgres', logging: process.env.SHOW ? console.error : false,
  define: { timestamps: false, freezeTableName: true },
  dialectOptions: { ssl: { ca: fs.readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true } }
})
const Customer = sequelize.define('customers', {
  id: { type: DataTypes.INTEGER, primaryKey: true }, name: DataTypes.TEXT, email: DataTypes.TEXT, ssn: DataTypes.TEXT, region: DataTypes.TEXT, balance: DataTypes.DECIMAL(12, 2)
})
const Order = sequelize.define('orders', {
  id: { type: DataTypes.INTEGER, primaryKey: true }, customer_id: DataTypes.INTEGER, total: DataTypes.DECIMAL(12, 2), memo: DataTypes.TEXT
})
const Product = sequelize.define('products', {
  id: { type: DataTypes.INTEGER, primaryKey: true }, sku: DataTypes.TEXT, price: DataTypes.DECIMAL(12, 2)
})
Customer.hasMany(Order, { foreignKey: 'customer_id', as: 'orders' })
Order.belongsTo(Customer, { foreignKey: 'customer_id', as: 'customer' })
const show = (name, rows) => console.log(name + ': ' + rows.join('; '))
const refused = async (name, f) => {
  try { show(name, [JSON.stringify(await f())]) } catch (e) { console.log(name + ': refused ' + ((e.original || e).code || e.message)) }
}

async function main () {
  await sequelize.authenticate()
  show('version', [(await sequelize.databaseVersion()).split('.')[0]])
  show('tables', (await sequelize.getQueryInterface().showAllTables()).map((t) => t.tableName || t).sort())
  show('indexes', (await sequelize.getQueryInterface().showIndex('customers')).map((x) => x.name).sort())
  await refused('foreign keys', async () => (await sequelize.getQueryInterface().getForeignKeyReferencesForTable('orders')).map((k) => k.columnName + ' ' + k.referencedTableName))
  await refused('describe', async () => Object.keys(await sequelize.getQueryInterface().describeTable('customers')))
  show('masked', (await Customer.findAll({ order: ['id'] })).map((c) => [c.id, c.email, c.ssn, c.balance].join('|')))
  show('joined', (await Customer.findAll({ include: [{ model: Order, as: 'orders' }], order: ['id', [{ model: Order, as: 'orders' }, 'id', 'ASC']] })).map((c) => c.id + ' ' + c.orders.map((o) => o.id + ' ' + o.memo)))
  show('separate', (await Customer.findAll({ include: [{ model: Order, as: 'orders', separate: true, limit: 1 }], order: ['id'] })).map((c) => c.id + ' ' + c.orders.map((o) => o.id)))
  const page = await Customer.findAndCountAll({ where: { name: { [Op.iLike]: '%visible%' }, region: ['EU', 'US'] }, order: [['id', 'DESC']], limit: 2, offset: 1, distinct: true, include: [{ model: Order, as: 'orders' }] })
  show('page', [page.count, ...page.rows.map((c) => c.id)])
  show('group', (await Customer.findAll({ attributes: ['region', [sequelize.fn('count', sequelize.col('id')), 'n'], [sequelize.fn('sum', sequelize.col('balance')), 'total']], group: ['region'], raw: true })).map((r) => r.region + ' ' + r.n + ' ' + r.total))
  show('bound', (await sequelize.query('SELECT id FROM customers WHERE email = $mail OR id = $id', { bind: { mail: 'CANARY-EML-1@ex.test', id: 2 }, type: QueryTypes.SELECT })).map((r) => r.id))
  await sequelize.transaction({ isolationLevel: Sequelize.Transaction.ISOLATION_LEVELS.REPEATABLE_READ }, async (transaction) => {
    await Product.create({ id: 50, sku: 'sequelize', price: 1 }, { transaction })
    await Product.bulkCreate([{ id: 51, sku: 'a' }, { id: 52, sku: 'b' }], { transaction })
    await Product.update({ price: 2.5 }, { where: { id: 50 }, transaction, returning: true })
    await Product.increment('price', { where: { id: 50 }, transaction })
    show('upsert', [(await Product.upsert({ id: 50, sku: 'again', price: 9 }, { transaction }))[0].sku])
    show('found', (await Product.findCreateFind({ where: { id: 53 }, defaults: { sku: 'c' }, transaction })).map(String).slice(1))
    await (await Product.findByPk(51, { lock: true, transaction })).destroy({ transaction })
    show('written', (await Product.findAll({ where: { id: { [Op.gte]: 50 } }, order: ['id'], transaction })).map((p) => [p.id, p.sku, p.price].join('|')))
    await Product.destroy({ where: { id: { [Op.gte]: 50 } }, transaction })
  })
  await refused('masked update', () => Customer.update({ email: 'x' }, { where: { id: 1 } }))
  await refused('other table', () => sequelize.query('SELECT * FROM payroll'))
  await refused('find or create', () => sequelize.transaction((transaction) => Product.findOrCreate({ where: { id: 53 }, transaction })))
  await refused('sync', async () => Object.keys((await sequelize.sync()).models))
  await sequelize.close()
}

main().catch((e) => { console.error(e.sql, e); process.exit(1) })
