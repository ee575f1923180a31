import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Properties;

/**
 * Calls every method of JDBC's DatabaseMetaData that asks the database something, as Hibernate, DBeaver and reporting tools do, and
 * prints how many rows came back, or what was refused. Connects with the PG* variables.
 */
public class Metadata {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("sslmode", "verify-full");
        p.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection c = DriverManager.getConnection(url, p)) {
            DatabaseMetaData m = c.getMetaData();
            Method[] methods = DatabaseMetaData.class.getMethods();
            Arrays.sort(methods, Comparator.comparing(Method::toString));
            for (Method f : methods) {
                if (Modifier.isStatic(f.getModifiers()) || f.getName().matches("unwrap|isWrapperFor")) {
                    continue;
                }
                Object[] values = new Object[f.getParameterCount()];
                int text = 0;
                for (int i = 0; i < values.length; i++) {
                    Class<?> t = f.getParameterTypes()[i];
                    if (t == String.class) {
                        // catalog, schema, table, and a pattern of columns
                        values[i] = new String[] {null, "public", "orders", null, "public", "customers"}[Math.min(text++, 5)];
                    } else if (t == int.class) {
                        values[i] = f.getName().equals("getBestRowIdentifier") ? DatabaseMetaData.bestRowSession : 1;
                    } else if (t == boolean.class) {
                        values[i] = false;
                    }
                }
                if (f.getName().equals("getTables") || f.getName().equals("getColumns")) {
                    values[2] = "%";
                }
                String said;
                try {
                    Object r = f.invoke(m, values);
                    if (!(r instanceof ResultSet)) {
                        said = null;
                    } else {
                        int n = 0;
                        while (((ResultSet) r).next()) {
                            n++;
                        }
                        said = n == 0 ? "none" : f.getName().matches("getTypeInfo|getFunctions|getFunctionColumns|getClientInfoProperties|getTableTypes") ? "some" : n + " rows";
                    }
                } catch (java.lang.reflect.InvocationTargetException e) {
                    Throwable cause = e.getCause();
                    String state = cause instanceof SQLException ? ((SQLException) cause).getSQLState() : cause.toString();
                    said = "0A000".equals(state) ? "not in this driver" : "error " + state + " " + cause.getMessage();
                }
                if (said != null) {
                    System.out.println(f.getName() + ": " + said);
                }
            }
        }
    }
}
