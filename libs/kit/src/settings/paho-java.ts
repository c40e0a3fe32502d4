import { quote, quoteList, type ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

export const pahoJava: ClientSettings = {
  name: 'Eclipse Paho for Java (org.eclipse.paho.client.mqttv3, 1.2.5)',
  run: () => ['java -cp org.eclipse.paho.client.mqttv3-1.2.5.jar settings/PahoJava.java'],
  files: (facts) => ({ 'PahoJava.java': program(facts) }),
};

function program(facts: ClientFacts): string {
  const { host, port, clientId, certificate, key, trust, topics, example } = facts;
  const place = `ssl://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return `// Eclipse Paho for Java: in the folder of the kit "java -cp org.eclipse.paho.client.mqttv3-1.2.5.jar settings/PahoJava.java".
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.eclipse.paho.client.mqttv3.MqttClient;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

public class PahoJava {
  public static void main(String[] args) throws Exception {
    MqttConnectOptions options = new MqttConnectOptions();
    options.setSocketFactory(tls().getSocketFactory());
    options.setCleanSession(true);
    MqttClient client =
        new MqttClient(${quote(place)}, ${quote(clientId)}, new MemoryPersistence());
    client.connect(options);
    System.out.println("connected");
${
  topics.subscribe.length === 0
    ? ''
    : `    for (String topic : new String[] {${quoteList(topics.subscribe)}}) {
      client.subscribe(
          topic, 1, (name, message) -> System.out.println(name + " " + message.toString()));
    }
    System.out.println("subscribed");
`
}${
    example === undefined
      ? ''
      : `    client.publish(${quote(example)}, "hello".getBytes(StandardCharsets.UTF_8), 1, false);
    System.out.println("published");
`
  }  }

  static SSLContext tls() throws Exception {
    Certificate[] chain = certificates(${quote(certificate)});
    String pem = Files.readString(Path.of(${quote(key)}));
    byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[^-]+-----", ""));
    PrivateKey key =
        KeyFactory.getInstance(chain[0].getPublicKey().getAlgorithm())
            .generatePrivate(new PKCS8EncodedKeySpec(der));
    KeyStore own = KeyStore.getInstance("PKCS12");
    own.load(null);
    own.setKeyEntry("own", key, new char[0], chain);
    KeyManagerFactory keys =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, new char[0]);

    KeyStore roots = KeyStore.getInstance("PKCS12");
    roots.load(null);
    int count = 0;
    for (Certificate root : certificates(${quote(trust)})) {
      roots.setCertificateEntry("root-" + count++, root);
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(roots);

    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }

  static Certificate[] certificates(String file) throws Exception {
    byte[] pem = Files.readAllBytes(Path.of(file));
    return CertificateFactory.getInstance("X.509")
        .generateCertificates(new ByteArrayInputStream(pem))
        .toArray(new Certificate[0]);
  }
}
`;
}
