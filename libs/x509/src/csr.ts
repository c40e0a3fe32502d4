// Certification requests (PKCS#10, RFC 2986) that Keyline's own programs send. Taking in those of others is libs/pki's work.
import { algorithms, type Signer } from './algorithms.ts';
import * as der from './der-writer.ts';
import { encodeAlternativeNames } from './alternative-names.ts';
import { encodeExtension } from './extensions.ts';
import { encodeName } from './name.ts';
import { oids } from './oids.ts';

export interface CsrContent {
  readonly signer: Signer;
  readonly commonName: string;
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
}

/**
 * A signed PKCS#10 request, DER.
 * @throws {KeylineError} PROFILE_VIOLATION, REQUEST_INVALID for names that can't be written
 */
export async function createCsr(content: CsrContent): Promise<Uint8Array> {
  const { signer, commonName, dnsNames = [], ipAddresses = [] } = content;
  const names = [...dnsNames.map((dns) => ({ dns })), ...ipAddresses.map((ip) => ({ ip }))];
  const san = encodeExtension({
    oid: oids.subjectAltName,
    critical: false,
    valueDer: names.length === 0 ? new Uint8Array() : encodeAlternativeNames(names),
  });
  const attributes =
    names.length === 0
      ? []
      : [der.sequence(der.oid(oids.extensionRequest), der.set(der.sequence(san)))];
  const info = der.sequence(
    der.integer(0),
    encodeName([{ attribute: 'CN', value: commonName }]),
    signer.spkiDer,
    der.explicit(0, ...attributes),
  );
  const signature = await signer.sign(info);
  const { identifierDer } = algorithms[signer.algorithm].signature;
  return der.sequence(info, identifierDer, der.bitString(signature));
}
