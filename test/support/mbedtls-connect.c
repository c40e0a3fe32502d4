/* Connects as a device with mbedTLS does (ESP-IDF, Zephyr): its own defaults, the files of a connect kit. Usage: mbedtls-connect HOST PORT
   TRUST CERTIFICATE KEY CLIENT-ID. Prints the version, the suite, and "connected" when the broker took the client. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *what, int code) {
    if (code >= 0) return;
    fprintf(stderr, "%s: -0x%04x\n", what, (unsigned)-code);
    exit(1);
}

int main(int count, char **args) {
    if (count != 7) return 2;
    mbedtls_net_context net;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt trust, own;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_net_init(&net);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&trust);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    check("random", mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0));
    check("trust", mbedtls_x509_crt_parse_file(&trust, args[3]));
    check("certificate", mbedtls_x509_crt_parse_file(&own, args[4]));
#if MBEDTLS_VERSION_MAJOR >= 3
    check("key", mbedtls_pk_parse_keyfile(&key, args[5], NULL, mbedtls_ctr_drbg_random, &random));
#else
    check("key", mbedtls_pk_parse_keyfile(&key, args[5], NULL));
#endif
    check("socket", mbedtls_net_connect(&net, args[1], args[2], MBEDTLS_NET_PROTO_TCP));
    check("defaults", mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT));
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config, &trust, NULL);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    check("own certificate", mbedtls_ssl_conf_own_cert(&config, &own, &key));
    check("setup", mbedtls_ssl_setup(&ssl, &config));
    check("name", mbedtls_ssl_set_hostname(&ssl, args[1]));
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    check("handshake", mbedtls_ssl_handshake(&ssl));
    printf("%s %s\n", mbedtls_ssl_get_version(&ssl), mbedtls_ssl_get_ciphersuite(&ssl));

    /* CONNECT of MQTT 3.1.1 (§3.1): clean session, keep alive 60 s. */
    size_t length = strlen(args[6]);
    unsigned char packet[128] = {0x10, (unsigned char)(12 + length), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, (unsigned char)length};
    if (length > 64) return 2;
    memcpy(packet + 14, args[6], length);
    check("write", mbedtls_ssl_write(&ssl, packet, 14 + length));
    unsigned char answer[4];
    check("read", mbedtls_ssl_read(&ssl, answer, sizeof answer));
    if (answer[0] != 0x20 || answer[3] != 0) {
        fprintf(stderr, "refused: %d\n", answer[3]);
        return 1;
    }
    puts("connected");
    mbedtls_ssl_close_notify(&ssl);
    return 0;
}
