// Certificates with any extensions, right or wrong, signed by one another: what a CA that keeps the rules would not issue.
import { Duration } from '@keyline/kernel';
import {
  algorithms,
  der,
  encodeAlternativeNames,
  encodeExtension,
  encodeKeyUsage,
  encodeName,
  encodeNameConstraints,
  oids,
  type AlternativeName,
  type Extension,
  type NameConstraints,
  type RelativeName,
} from '@keyline/x509';
import { createSerial } from '../src/serial.ts';
import { signTbs } from '../src/sign-tbs.ts';
import { createTestSigner, now } from './hierarchy.ts';

export const sharedKey = createTestSigner('ec-p256');

export interface Made {
  readonly subject: readonly RelativeName[];
  readonly der: Uint8Array;
  readonly signer: typeof sharedKey;
}

export interface MakeOptions {
  /** Absent: self-signed. */
  readonly issuer?: Made | undefined;
  readonly extensions?: readonly Extension[] | undefined;
  readonly signer?: typeof sharedKey | undefined;
  readonly notAfter?: number | undefined;
  /** INTEGER, DER. */
  readonly serialDer?: Uint8Array | undefined;
  /** Names as they are to be written, where they differ in writing from what they are. */
  readonly issuerDer?: Uint8Array | undefined;
  readonly subjectDer?: Uint8Array | undefined;
}

export async function make(
  name: string | readonly RelativeName[],
  options: MakeOptions = {},
): Promise<Made> {
  const { extensions = [], signer = sharedKey } = options;
  const subject = typeof name === 'string' ? [{ attribute: 'CN' as const, value: name }] : name;
  const by = options.issuer ?? { subject, signer };
  const tbs = der.sequence(
    der.explicit(0, der.integer(2)),
    options.serialDer ?? der.unsignedInteger(createSerial()),
    algorithms[by.signer.algorithm].signature.identifierDer,
    options.issuerDer ?? encodeName(by.subject),
    der.sequence(der.time(now - 1000), der.time(options.notAfter ?? now + Duration.days(1))),
    options.subjectDer ?? encodeName(subject),
    signer.spkiDer,
    ...(extensions.length === 0
      ? []
      : [der.explicit(3, der.sequence(...extensions.map(encodeExtension)))]),
  );
  return { subject, der: await signTbs(by.signer, tbs), signer };
}

/** RFC 5280 §4.2.1.9. */
export const saysCa = (pathLen?: number): Extension => ({
  oid: oids.basicConstraints,
  critical: true,
  valueDer: der.sequence(
    der.boolean(true),
    ...(pathLen === undefined ? [] : [der.integer(pathLen)]),
  ),
});

export const ca = (pathLen?: number): Extension[] => [
  saysCa(pathLen),
  encodeKeyUsage(['keyCertSign', 'cRLSign']),
];

export const constrained = (constraints: NameConstraints): Extension[] => [
  ...ca(),
  encodeNameConstraints(constraints),
];

export const named = (...names: AlternativeName[]): Extension[] => [
  { oid: oids.subjectAltName, critical: false, valueDer: encodeAlternativeNames(names) },
];
