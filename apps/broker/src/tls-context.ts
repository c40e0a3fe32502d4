// What TLS is spoken: the policy as options of OpenSSL.
import { constants } from 'node:crypto';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { KeylineError } from '@keyline/kernel';
import { defaultSignatureAlgorithms, type TlsPolicy } from './options.ts';
import type { ServerCertificate } from './server-certificate.ts';

/** @throws {KeylineError} USAGE when this OpenSSL does not know what the policy names */
export function assertTlsPolicy({ groups, signatureAlgorithms, ciphers }: TlsPolicy): void {
  const lists = [
    ['--tls-groups', groups, { ecdhCurve: groups }, 'X25519MLKEM768:X25519'],
    [
      '--tls-signature-algorithms',
      signatureAlgorithms,
      { sigalgs: signatureAlgorithms },
      'mldsa65:ecdsa_secp256r1_sha256',
    ],
    ['--ciphers', ciphers, { ciphers }, 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256'],
  ] as const;
  for (const [flag, list, options, example] of lists) {
    if (list === undefined) continue;
    try {
      createSecureContext(options);
    } catch (cause) {
      throw new KeylineError(
        'USAGE',
        `${flag} "${list.slice(0, 200)}" names something that this OpenSSL does not know. Separate its names by colons, for instance ${example}.`,
        { cause },
      );
    }
  }
}

export function contextOf(
  { cert, key, ca, clientAuthorities }: ServerCertificate,
  tls: TlsPolicy,
): TlsOptions {
  return {
    cert,
    key,
    // A client may send its certificate alone. Node's servers do not take allowPartialTrustChain: the root has to be there too.
    ca: [ca, clientAuthorities],
    minVersion: `TLSv${tls.minVersion}`,
    ...(tls.groups === undefined ? {} : { ecdhCurve: tls.groups }),
    sigalgs: tls.signatureAlgorithms ?? defaultSignatureAlgorithms,
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers, honorCipherOrder: true }),
    // A renegotiation could bring another certificate, and costs us more than the peer. A ticket holds the whole certificate, which keeps
    // 16 KiB busy for each connection, and lets a session go on that should be judged anew.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  };
}
