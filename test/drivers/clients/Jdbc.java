import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** The tour of README.md with the JDBC driver, and what tools ask of its metadata. Connects with the PG* variables. */
public class Jdbc {
    static String rows(ResultSet r, String... columns) throws SQLException {
        StringBuilder out = new StringBuilder();
        while (r.next()) {
            out.append(out.length() == 0 ? "" : "; ");
            int n = columns.length == 0 ? r.getMetaData().getColumnCount() : columns.length;
            for (int i = 0; i < n; i++) {
                String v = columns.length == 0 ? r.getString(i + 1) : r.getString(columns[i]);
                out.append(i == 0 ? "" : "|").append(v == null ? "" : v);
            }
        }
        r.close();
        return out.toString();
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("sslmode", "verify-full");
        p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection c = DriverManager.getConnection(url, p); Statement s = c.createStatement()) {
            System.out.println("tls: yes"); // verify-full does not connect without
            System.out.println("text: " + rows(s.executeQuery("SELECT id, email, ssn, balance FROM customers ORDER BY id")));
            System.out.println("date: " + rows(s.executeQuery("SELECT dob FROM patients")));
            // From the fifth execution on the driver prepares on the server, and asks for binary results.
            String last = "";
            try (PreparedStatement q = c.prepareStatement("SELECT id, email FROM customers WHERE id = ?")) {
                for (int i = 0; i < 9; i++) {
                    q.setInt(1, new int[] {6, 1, 2}[i % 3]);
                    last = rows(q.executeQuery());
                }
            }
            System.out.println("prepared: " + last);
            c.setAutoCommit(false);
            try {
                s.executeQuery("SELECT get_customer_ssn(3)");
            } catch (SQLException e) {
                System.out.println("refused: " + e.getSQLState());
            }
            c.rollback();
            System.out.println("after: " + rows(s.executeQuery("SELECT count(*) FROM customers")));
            try (PreparedStatement q = c.prepareStatement("SELECT id FROM customers ORDER BY id")) {
                q.setFetchSize(1); // a portal, one row at a time
                System.out.println("cursor: " + rows(q.executeQuery()));
            }
            c.commit();
            DatabaseMetaData m = c.getMetaData();
            System.out.println("schemas: " + rows(m.getSchemas(), "TABLE_SCHEM"));
            System.out.println("tables: " + rows(m.getTables(null, null, "%", new String[] {"TABLE", "PARTITIONED TABLE", "VIEW"}), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"));
            System.out.println("columns: " + rows(m.getColumns(null, "public", "customers", "%"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "IS_NULLABLE"));
            System.out.println("keys: " + rows(m.getPrimaryKeys(null, "public", "customers"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"));
            System.out.println("foreign: " + rows(m.getImportedKeys(null, "public", "orders"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME"));
        }
    }
}
