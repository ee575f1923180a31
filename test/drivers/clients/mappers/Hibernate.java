// What Hibernate asks of a database. Connects with the PG* variables; mappings are made in the program.
import java.math.BigDecimal;
import java.util.*;
import javax.persistence.*;
import org.hibernate.*;
import org.hibernate.cfg.Configuration;
import org.hibernate.criterion.*;

public class Hibernate {
    @Entity @Table(name = "customers")
    public static class Customer {
        @Id int id;
        String name, email, ssn, region;
        BigDecimal balance;
        @OneToMany(mappedBy = "customer") @OrderBy("id") List<Order> orders;
    }

    @Entity @Table(name = "orders")
    public static class Order {
        @Id int id;
        BigDecimal total;
        String memo;
        @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "customer_id") Customer customer;
    }

    @Entity @Table(name = "products")
    public static class Product {
        @Id int id;
        String sku;
        BigDecimal price;
    }

    static void show(String name, Object... rows) {
        StringJoiner out = new StringJoiner("; ");
        for (Object r : rows) out.add(r instanceof Object[] ? Arrays.toString((Object[]) r) : String.valueOf(r));
        System.out.println(name + ": " + out);
    }

    interface Work { Object run() throws Exception; }

    static void refused(String name, Work w) {
        try {
            show(name, w.run());
        } catch (Exception e) {
            Throwable t = e;
            while (t != null && !(t instanceof java.sql.SQLException)) t = t.getCause();
            show(name, "refused " + (t == null ? e : ((java.sql.SQLException) t).getSQLState()));
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        Configuration cfg = new Configuration();
        for (Class<?> c : new Class<?>[] {Customer.class, Order.class, Product.class}) cfg.addAnnotatedClass(c);
        cfg.setProperty("hibernate.connection.driver_class", "org.postgresql.Driver");
        cfg.setProperty("hibernate.connection.url", "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
            + "?sslmode=verify-full&sslrootcert=" + env.get("PGSSLROOTCERT"));
        cfg.setProperty("hibernate.connection.username", env.get("PGUSER"));
        cfg.setProperty("hibernate.connection.password", env.get("PGPASSWORD"));
        cfg.setProperty("hibernate.jdbc.batch_size", "10");
        cfg.setProperty("hibernate.hbm2ddl.auto", "validate"); // introspects: every table and column of the mapping has to be there
        cfg.setProperty("hibernate.bytecode.use_reflection_optimizer", "false");
        if (env.get("SHOW") != null) cfg.setProperty("hibernate.show_sql", "true");
        SessionFactory factory = cfg.buildSessionFactory();
        show("validated", factory.getAllClassMetadata().size());
        Session s = factory.openSession();
        List<Object> rows = new ArrayList<>();
        for (Object o : s.createQuery("from Hibernate$Customer order by id").list()) {
            Customer c = (Customer) o;
            rows.add(c.id + "|" + c.email + "|" + c.ssn + "|" + c.balance + " " + c.orders.size());
        }
        show("masked", rows.toArray());
        rows.clear();
        for (Object o : s.createQuery("select distinct c from Hibernate$Customer c left join fetch c.orders o order by c.id").list()) rows.add(((Customer) o).id);
        show("fetched", rows.toArray());
        show("page", s.createCriteria(Customer.class).add(Restrictions.ilike("name", "%visible%")).add(Restrictions.in("region", new Object[] {"EU", "US"}))
            .addOrder(org.hibernate.criterion.Order.desc("id")).setFirstResult(1).setMaxResults(2).setProjection(Projections.id()).list());
        show("group", s.createQuery("select region, count(*), sum(balance) from Hibernate$Customer group by region").list().toArray());
        show("bound", s.createQuery("select id from Hibernate$Customer where email = :mail or id = :id").setString("mail", "CANARY-EML-1@ex.test").setInteger("id", 2).list());
        Transaction t = s.beginTransaction();
        for (int i = 50; i < 54; i++) {
            Product p = new Product();
            p.id = i;
            p.sku = "hibernate " + i;
            s.save(p);
        }
        s.flush();
        Product p = (Product) s.get(Product.class, 50, LockOptions.UPGRADE);
        p.price = new BigDecimal("2.50");
        s.delete(s.get(Product.class, 51));
        s.flush();
        show("updated", s.createQuery("update Hibernate$Product set price = 4 where id > 51").executeUpdate());
        s.clear();
        rows.clear();
        for (Object o : s.createQuery("from Hibernate$Product where id >= 50 order by id").list()) rows.add(((Product) o).id + "|" + ((Product) o).sku + "|" + ((Product) o).price);
        show("written", rows.toArray());
        show("deleted", s.createQuery("delete Hibernate$Product where id >= 50").executeUpdate());
        t.commit();
        refused("masked update", () -> s.createQuery("update Hibernate$Customer set email = 'x'").executeUpdate());
        s.clear();
        refused("other table", () -> s.createSQLQuery("select * from payroll").list());
        s.close();
        factory.close();
    }
}
