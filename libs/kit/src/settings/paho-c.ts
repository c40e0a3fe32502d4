import { quote, quoteList, type ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

export const pahoC: ClientSettings = {
  name: 'Eclipse Paho for C (libpaho-mqtt-dev)',
  run: () => ['cc settings/paho_c.c -o paho_c -lpaho-mqtt3cs', './paho_c'],
  files: (facts) => ({ 'paho_c.c': program(facts) }),
};

function program(facts: ClientFacts): string {
  const { host, port, clientId, certificate, key, trust, topics, example } = facts;
  const { subscribe } = topics;
  const place = `ssl://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return `/* Eclipse Paho for C: in the folder of the kit "cc settings/paho_c.c -o paho_c -lpaho-mqtt3cs", then "./paho_c". */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <MQTTClient.h>

static int on_message(void *context, char *topic, int length, MQTTClient_message *message) {
    printf("%s %.*s\\n", topic, message->payloadlen, (char *)message->payload);
    fflush(stdout);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return 1;
}

static void on_lost(void *context, char *cause) {
    fprintf(stderr, "connection lost\\n");
    exit(1);
}

static void done(const char *what, int code) {
    if (code != MQTTCLIENT_SUCCESS) {
        fprintf(stderr, "not %s: %s (%d)\\n", what, MQTTClient_strerror(code), code);
        exit(1);
    }
    puts(what);
    fflush(stdout);
}

int main(void) {
    MQTTClient client;
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;

    tls.trustStore = ${quote(trust)};
    tls.keyStore = ${quote(certificate)};
    tls.privateKey = ${quote(key)};
    tls.enableServerCertAuth = 1;
    tls.verify = 1;
    options.ssl = &tls;
    options.keepAliveInterval = 60;

    MQTTClient_create(&client, ${quote(place)}, ${quote(clientId)}, MQTTCLIENT_PERSISTENCE_NONE, NULL);
    MQTTClient_setCallbacks(client, NULL, on_lost, on_message, NULL);
    done("connected", MQTTClient_connect(client, &options));
${
  subscribe.length === 0
    ? ''
    : `    char *topics[] = {${quoteList(subscribe)}};
    int qos[] = {${subscribe.map(() => '1').join(', ')}};
    done("subscribed", MQTTClient_subscribeMany(client, ${String(subscribe.length)}, topics, qos));
`
}${
    example === undefined
      ? ''
      : `    MQTTClient_deliveryToken token;
    MQTTClient_publish(client, ${quote(example)}, 5, "hello", 1, 0, &token);
    done("published", MQTTClient_waitForCompletion(client, token, 10000L));
`
  }    for (;;) pause();
}
`;
}
