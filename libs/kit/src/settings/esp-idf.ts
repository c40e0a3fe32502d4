import { quote, type ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

export const espIdf: ClientSettings = {
  name: 'ESP-IDF (5.x)',
  run: () => ['cd settings/esp-idf && idf.py set-target esp32 && idf.py menuconfig flash monitor'],
  files: (facts) => ({
    'esp-idf/CMakeLists.txt': `cmake_minimum_required(VERSION 3.16)
include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(keyline_device)
`,
    'esp-idf/main/CMakeLists.txt': `# The files of the kit go into the program; keep the key out of your repository.
set(kit "\${CMAKE_CURRENT_LIST_DIR}/../../..")
idf_component_register(SRCS "main.c"
                       PRIV_REQUIRES mqtt nvs_flash esp_netif esp_event protocol_examples_common
                       EMBED_TXTFILES "\${kit}/${facts.trust}" "\${kit}/${facts.certificate}" "\${kit}/${facts.key}")
`,
    'esp-idf/main/idf_component.yml': `dependencies:
  protocol_examples_common:
    path: \${IDF_PATH}/examples/common_components/protocol_examples_common
`,
    'esp-idf/sdkconfig.defaults': `# What the certificates need of mbedTLS: ECDSA and ECDHE on P-256 and P-384, TLS 1.2 or 1.3.
CONFIG_MBEDTLS_SSL_PROTO_TLS1_2=y
CONFIG_MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA=y
CONFIG_MBEDTLS_ECP_DP_SECP256R1_ENABLED=y
CONFIG_MBEDTLS_ECP_DP_SECP384R1_ENABLED=y
CONFIG_MQTT_PROTOCOL_5=y
`,
    'esp-idf/main/main.c': program(facts),
  }),
};

/** As the build system names what it embeds. */
function symbol(file: string): string {
  return `_binary_${file.replaceAll(/[^A-Za-z0-9]/g, '_')}_start`;
}

function program(facts: ClientFacts): string {
  const { url, clientId, certificate, key, trust, topics, example } = facts;
  return `// ESP-IDF: esp-mqtt over mbedTLS, with the files of the kit in the program. The network is set in menuconfig ("Example Connection
// Configuration"). The clock must be right before TLS: certificates have a beginning and an end.
#include <string.h>
#include <time.h>
#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_netif_sntp.h"
#include "mqtt_client.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"

extern const char trust_pem[] asm("${symbol(trust)}");
extern const char certificate_pem[] asm("${symbol(certificate)}");
extern const char key_pem[] asm("${symbol(key)}");

static const char *TAG = "keyline";

static void on_event(void *context, esp_event_base_t base, int32_t id, void *data) {
    esp_mqtt_event_handle_t event = data;
    switch (event->event_id) {
    case MQTT_EVENT_CONNECTED:
        ESP_LOGI(TAG, "connected");
${topics.subscribe
  .map(
    (filter) => `        esp_mqtt_client_subscribe_single(event->client, ${quote(filter)}, 1);\n`,
  )
  .join('')}${
    example === undefined
      ? ''
      : `        esp_mqtt_client_publish(event->client, ${quote(example)}, "hello", 0, 1, 0);\n`
  }        break;
    case MQTT_EVENT_DATA:
        ESP_LOGI(TAG, "%.*s %.*s", event->topic_len, event->topic, event->data_len, event->data);
        break;
    case MQTT_EVENT_ERROR:
        ESP_LOGE(TAG, "error of mbedTLS: 0x%x", event->error_handle->esp_tls_stack_err);
        break;
    default:
        break;
    }
}

void app_main(void) {
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());

    // An NTP server of your own network does as well.
    esp_sntp_config_t time_config = ESP_NETIF_SNTP_DEFAULT_CONFIG("pool.ntp.org");
    esp_netif_sntp_init(&time_config);
    ESP_ERROR_CHECK(esp_netif_sntp_sync_wait(pdMS_TO_TICKS(60000)));

    const esp_mqtt_client_config_t config = {
        .broker.address.uri = ${quote(url)},
        .broker.verification.certificate = trust_pem,
        .credentials.client_id = ${quote(clientId)},
        .credentials.authentication.certificate = certificate_pem,
        .credentials.authentication.key = key_pem,
        .session.protocol_ver = MQTT_PROTOCOL_V_5,
    };
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config);
    esp_mqtt_client_register_event(client, ESP_EVENT_ANY_ID, on_event, NULL);
    esp_mqtt_client_start(client);
}
`;
}
