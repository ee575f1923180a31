# What ActiveRecord asks of a database. Connects with the PG* variables.
require 'active_record'
require 'logger'

class Base < ActiveRecord::Base
  self.abstract_class = true
end
class Customer < Base
  self.table_name = 'customers'
  has_many :orders, -> { order(:id) }
end
class Order < Base
  self.table_name = 'orders'
  belongs_to :customer
end
class Product < Base
  self.table_name = 'products'
end

def show(name, *rows)
  puts "#{name}: #{rows.flatten.join('; ')}"
end

def refused(name)
  show name, yield.inspect
rescue ActiveRecord::StatementInvalid => e
  puts "#{name}: refused #{e.cause.result.error_field(PG::PG_DIAG_SQLSTATE)}"
end

ActiveRecord::Base.logger = Logger.new($stderr) if ENV['SHOW']
# libpq reads address, login and TLS from the PG* variables; the mapper has its own names for two of them.
ActiveRecord::Base.establish_connection(adapter: 'postgresql', database: ENV['PGDATABASE'], username: ENV['PGUSER'])
c = ActiveRecord::Base.connection
show 'tables', c.tables.sort
show 'views', c.views.sort
show 'columns', c.columns('customers').map { |x| "#{x.name} #{x.sql_type} #{x.null}" }
show 'key', c.primary_key('customers')
show 'indexes', c.indexes('customers').map(&:name).sort
show 'foreign', c.foreign_keys('orders').map { |k| "#{k.column} #{k.to_table}" }
show 'comment', c.table_comment('customers').inspect
refused('checks') { c.check_constraints('customers').map(&:name) }
refused('extensions') { c.extensions.sort }
refused('schemas') { c.schema_names.sort }
refused('encoding') { [c.encoding, c.collation, c.current_schema, c.schema_search_path] }
refused('dump') { require 'stringio'; out = StringIO.new; ActiveRecord::SchemaDumper.dump(c, out); out.string.scan(/create_table "(\w+)"/).flatten.sort }
show 'masked', Customer.order(:id).map { |x| [x.id, x.email, x.ssn, x.balance].join('|') }
show 'preloaded', Customer.preload(:orders).order(:id).map { |x| "#{x.id} #{x.orders.map { |o| "#{o.id} #{o.memo}" }}" }
show 'joined', Customer.eager_load(:orders).order(:id).map { |x| "#{x.id} #{x.orders.size}" }
show 'page', Customer.where('name ILIKE ?', '%visible%').where(region: %w[EU US]).order(id: :desc).limit(2).offset(1).pluck(:id)
show 'group', Customer.group(:region).count.map { |k, v| "#{k} #{v}" }, Customer.group(:region).sum(:balance).map { |k, v| "#{k} #{v}" }
show 'exists', Customer.exists?(email: 'CANARY-EML-1@ex.test'), Customer.where(id: 2).exists?
show 'batches', Customer.find_each(batch_size: 2).map(&:id)
Product.transaction(isolation: :repeatable_read) do
  Product.create!(id: 50, sku: 'activerecord', price: 1)
  Product.insert_all([{ id: 51, sku: 'a' }, { id: 52, sku: 'b' }])
  Product.upsert_all([{ id: 52, sku: 'again' }])
  Product.find(50).update!(price: 2.5)
  Product.where('id >= 51').update_all(price: 4)
  Product.transaction(requires_new: true) { Product.create!(id: 53, sku: 'c'); raise ActiveRecord::Rollback }
  Product.lock.find(51).destroy!
  show 'written', Product.where('id >= 50').order(:id).map { |p| [p.id, p.sku, p.price].join('|') }
  Product.where('id >= 50').delete_all
end
refused('masked update') { Customer.find(1).update!(email: 'x') }
refused('other table') { c.select_all('SELECT * FROM payroll') }
refused('migration') { c.create_table(:things) { |t| t.string :name } }
refused('explain') { Customer.where(id: 1).explain }
