import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;

/** Connects with a URL, without a password, and counts. */
public class Certificate {
    public static void main(String[] args) throws Exception {
        try (Connection c = DriverManager.getConnection(args[0]); ResultSet r = c.createStatement().executeQuery("SELECT count(*) FROM base")) {
            r.next();
            System.out.println("count " + r.getInt(1));
        }
    }
}
