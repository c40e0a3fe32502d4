// Devices that renew: their keys and CSRs, made beforehand, and their connections.
import { createSigner, generateKey } from '@keyline/keys';
import { createCsr, encodePem } from '@keyline/x509';
import { encodeRequest } from './http-load.ts';

export const whoAmI = encodeRequest({ method: 'GET', path: '/v1/whoami' });

/** Each connection sends it one time. */
export function eachOnce(request: Buffer): (connection: number) => Buffer | undefined {
  const sent = new Set<number>();
  return (connection) => {
    if (sent.has(connection)) return undefined;
    sent.add(connection);
    return request;
  };
}

/** A device with `count` CSRs, each for another key; `keyPem` is the last one's. */
export async function makeDevice(
  id: string,
  count: number,
): Promise<{ id: string; keyPem: string; csrs: string[] }> {
  const csrs: string[] = [];
  let keyPem = '';
  for (let i = 0; i < count; i++) {
    const key = generateKey('ec-p256');
    keyPem = key.export({ type: 'pkcs8', format: 'pem' });
    const der = await createCsr({ signer: createSigner(key), commonName: id });
    csrs.push(encodePem('CERTIFICATE REQUEST', der));
  }
  return { id, keyPem, csrs };
}
