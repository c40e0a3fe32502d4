import { quote, quoteList, type ClientSettings } from '../client-settings.ts';

export const pahoPython: ClientSettings = {
  name: 'Eclipse Paho for Python (pip install paho-mqtt, 1.6 or 2)',
  run: () => ['python3 settings/paho_python.py'],
  files: ({ host, port, clientId, certificate, key, trust, topics, example }) => ({
    'paho_python.py': `# Eclipse Paho for Python: "pip install paho-mqtt", then in the folder of the kit "python3 settings/paho_python.py".
import paho.mqtt.client as mqtt

TOPICS = [${quoteList(topics.subscribe)}]
EXAMPLE = ${example === undefined ? 'None' : quote(example)}


def on_connect(client, userdata, flags, reason, properties=None):
    if reason != 0:
        print("refused:", reason, flush=True)
        return
    print("connected", flush=True)
    if TOPICS:
        client.subscribe([(topic, 1) for topic in TOPICS])
    if EXAMPLE:
        client.publish(EXAMPLE, "hello", qos=1)


def on_subscribe(client, userdata, mid, reasons, properties=None):
    print("subscribed", flush=True)


def on_publish(client, userdata, mid, reason=None, properties=None):
    print("published", flush=True)


def on_message(client, userdata, message):
    print(message.topic, message.payload, flush=True)


options = {"client_id": ${quote(clientId)}, "protocol": mqtt.MQTTv5}
if hasattr(mqtt, "CallbackAPIVersion"):  # paho-mqtt 2
    options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
client = mqtt.Client(**options)
client.tls_set(ca_certs=${quote(trust)}, certfile=${quote(certificate)}, keyfile=${quote(key)})
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_publish = on_publish
client.on_message = on_message
client.connect(${quote(host)}, ${String(port)})
client.loop_forever()
`,
  }),
};
