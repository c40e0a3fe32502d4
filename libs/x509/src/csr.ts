// Certification requests (PKCS#10, RFC 2986) that Keyline's own programs send, as @peculiar/x509 writes them. Taking in those of others is
// libs/pki's work.
import { algorithms, type Signer } from './algorithms.ts';
import { encodeAlternativeNames } from './alternative-names.ts';
import { readSequence } from './der-reader.ts';
import * as der from './der-writer.ts';
import { loadLibrary, signingAlgorithms, toArrayBuffer } from './library-tbs.ts';
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
  const name = encodeName([{ attribute: 'CN', value: commonName }]);
  const names = [...dnsNames.map((dns) => ({ dns })), ...ipAddresses.map((ip) => ({ ip }))];
  const library = await loadLibrary();
  // Keys stay with their signer: the library is shown the public one, and its signature is thrown away.
  const key = { algorithm: {} } as CryptoKey;
  const request = await library.Pkcs10CertificateRequestGenerator.create(
    {
      name: new library.Name(toArrayBuffer(name)),
      keys: { publicKey: key, privateKey: key },
      signingAlgorithm: signingAlgorithms[signer.algorithm],
      extensions:
        names.length === 0
          ? []
          : [
              new library.Extension(
                oids.subjectAltName,
                false,
                toArrayBuffer(encodeAlternativeNames(names)),
              ),
            ],
    },
    {
      subtle: {
        exportKey: () => Promise.resolve(toArrayBuffer(signer.spkiDer)),
        sign: () => Promise.resolve(new ArrayBuffer(96)),
      },
    } as unknown as Crypto,
  );
  const outer = readSequence(new Uint8Array(request.rawData));
  const info = outer.whole(outer.read());
  const signature = await signer.sign(info);
  const { identifierDer } = algorithms[signer.algorithm].signature;
  return der.sequence(info, identifierDer, der.bitString(signature));
}
