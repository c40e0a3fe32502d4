// A small authority whose own certificate also serves TLS on 127.0.0.1, so that these tests run on a machine without OpenSSL's command.
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import {
  algorithms,
  decodePem,
  der,
  encodeAlternativeNames,
  encodeExtension,
  encodeName,
  encodePem,
  oids,
  readSequence,
} from '@keyline/x509';

export interface TestAuthority {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** A certificate for the CSR's subject and key; each one begins a second later than the one before. */
  sign(csrPem: string): string;
  /** Days until the nth ends; at first n, a day more each time. */
  daysOf: (n: number) => number;
}

const day = 86_400_000;
const signature = algorithms['ec-p256'].signature.identifierDer;

export function createTestAuthority(): TestAuthority {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuerDer = encodeName([{ attribute: 'CN', value: 'Test Authority' }]);
  const subjectAltName = encodeExtension({
    oid: oids.subjectAltName,
    critical: false,
    valueDer: encodeAlternativeNames([{ ip: '127.0.0.1' }]),
  });
  const basicConstraints = encodeExtension({
    oid: oids.basicConstraints,
    critical: true,
    valueDer: der.sequence(der.boolean(true)),
  });
  const issue = (content: Omit<Content, 'issuerDer'>): string =>
    encodeCertificate(privateKey, { issuerDer, ...content });
  let serial = 0;
  const authority: TestAuthority = {
    daysOf: (n) => n,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    certificatePem: issue({
      serial: 100,
      subjectDer: issuerDer,
      spkiDer: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
      order: 0,
      days: 20,
      extensions: [basicConstraints, subjectAltName],
    }),
    sign(csrPem) {
      serial += 1;
      const info = readSequence(decodePem(csrPem, 'CERTIFICATE REQUEST')).enter();
      info.readSmallInteger();
      const subjectDer = info.whole(info.read());
      const spkiDer = info.whole(info.read());
      const days = authority.daysOf(serial);
      return issue({ serial, subjectDer, spkiDer, order: serial, days, extensions: [] });
    },
  };
  return authority;
}

interface Content {
  readonly serial: number;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  readonly spkiDer: Uint8Array;
  /** Begins so many seconds later than the first. */
  readonly order: number;
  readonly days: number;
  readonly extensions: readonly Uint8Array[];
}

function encodeCertificate(key: KeyObject, content: Content): string {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const { extensions } = content;
  const tbs = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(content.serial),
    signature,
    content.issuerDer,
    der.sequence(der.time(now - 60_000 + content.order * 1000), der.time(now + content.days * day)),
    content.subjectDer,
    content.spkiDer,
    ...(extensions.length === 0 ? [] : [der.explicit(3, der.sequence(...extensions))]),
  );
  const certificate = der.sequence(tbs, signature, der.bitString(sign('sha256', tbs, key)));
  return encodePem('CERTIFICATE', certificate);
}
