// Whether what was answered is true: a fast answer that is not in the database, or not signed, would be no answer.
import { X509Certificate } from 'node:crypto';
import { encodePem } from '@keyline/x509';
import type { LoadAnswer } from './http-load.ts';
import type { ServedCa } from './issuing-ca.ts';

interface Issued {
  readonly serial: string;
  readonly certificate: string;
}

/** A handful of answers out of many. */
export function keepSome(expected: number): {
  readonly answers: Issued[];
  readonly take: (answer: LoadAnswer) => void;
} {
  const answers: Issued[] = [];
  const step = Math.max(1, Math.floor(expected / 10));
  let count = 0;
  return {
    answers,
    take: ({ body }) => {
      if (count++ % step === 0) answers.push(JSON.parse(body.toString('utf8')) as Issued);
    },
  };
}

/** @throws {Error} unless each is signed by the issuing CA and the service knows it */
export async function assertIssued(service: ServedCa, issued: readonly Issued[]): Promise<void> {
  if (issued.length === 0) throw new Error('no answer was kept to check');
  const issuer = new X509Certificate(encodePem('CERTIFICATE', service.issuingDer));
  for (const { serial, certificate } of issued) {
    if (!new X509Certificate(certificate).verify(issuer.publicKey)) {
      throw new Error(`the certificate ${serial} is not signed by the issuing CA`);
    }
    const { status, body } = await service.admin.get(`/v1/certificates/${serial}`);
    if (status !== 200 || body.certificate !== certificate) {
      throw new Error(`the certificate ${serial} was answered but is not in the database`);
    }
  }
}
