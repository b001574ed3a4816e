import java.net.InetSocketAddress;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.RetryingHMSHandler;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.hadoop.hive.metastore.conf.MetastoreConf;
import org.apache.hadoop.hive.metastore.txn.TxnDbUtil;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TFramedTransport;
import org.apache.thrift.transport.TServerSocket;
import org.apache.thrift.transport.TTransportFactory;

/**
 * A Hive metastore 3.1.3 that listens on loopback only, which its own main class cannot: its handler with every listener
 * and task, behind a server socket of ours. Arguments: port, folder of the data, "buffered" or "framed", and the seconds
 * that events live in the notification log.
 */
public class Metastore {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        String folder = args[1];
        boolean framed = args[2].equals("framed");
        String secondsToLive = args[3];
        // The name that stands in messages is read from a configuration that the message factory makes for itself.
        System.setProperty("metastore.thrift.uris", "thrift://metastore.test:9083");
        Configuration conf = MetastoreConf.newMetastoreConf();
        conf.set("javax.jdo.option.ConnectionURL", "jdbc:derby:;databaseName=" + folder + "/db;create=true");
        conf.set("javax.jdo.option.ConnectionDriverName", "org.apache.derby.jdbc.EmbeddedDriver");
        conf.set("datanucleus.schema.autoCreateAll", "true");
        conf.set("metastore.schema.verification", "false");
        String hms = "org.apache.hadoop.hive.metastore.";
        conf.set("metastore.expression.proxy", hms + "DefaultPartitionExpressionProxy");
        conf.set("metastore.storage.schema.reader.impl", hms + "SerDeStorageSchemaReader");
        conf.set("metastore.task.threads.always", hms + "events.EventCleanerTask");
        conf.set("metastore.event.clean.freq", "1s");
        conf.set("metastore.event.db.listener.timetolive", secondsToLive + "s");
        conf.set("metastore.transactional.event.listeners", "org.apache.hive.hcatalog.listener.DbNotificationListener");
        conf.set("metastore.dml.events", "true");
        conf.set("metastore.metastore.event.db.notification.api.auth", "false");
        conf.set("metastore.warehouse.dir", "file:" + folder + "/warehouse");
        try {
            TxnDbUtil.prepDb(conf);
        } catch (Exception alreadyThere) {
            // An earlier start has made the tables of transactions.
        }
        HiveMetaStore.HMSHandler base = new HiveMetaStore.HMSHandler("test", conf, false);
        IHMSHandler handler = RetryingHMSHandler.getProxy(conf, base, true);
        TServerSocket socket = new TServerSocket(new InetSocketAddress("127.0.0.1", port));
        TThreadPoolServer.Args options = new TThreadPoolServer.Args(socket)
            .processor(new TSetIpAddressProcessor<>(handler))
            .transportFactory(framed ? new TFramedTransport.Factory() : new TTransportFactory())
            .protocolFactory(new TBinaryProtocol.Factory())
            .minWorkerThreads(4).maxWorkerThreads(64);
        new TThreadPoolServer(options).serve();
    }
}
