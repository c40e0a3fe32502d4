// In which form a certificate is answered: JSON, or what Accept asks for: the certificate alone (DER) or with its chain (PEM).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { decodePem } from '@keyline/x509';

const forms = [
  'application/json',
  'application/pkix-cert',
  'application/pem-certificate-chain',
] as const;
type CertificateForm = (typeof forms)[number];

/** What an answer in any of the forms is made of. */
export interface CertificateAnswer {
  /** PEM. */
  readonly certificate: string;
  /** PEM each, the issuer first; the root is left out. */
  readonly chain: readonly string[];
}

/**
 * Sends the certificate in the form that was asked for; undefined when that is JSON, which the caller makes.
 * @see RFC 8555 §9.1 application/pem-certificate-chain: the end-entity certificate first, each next one certifying the one before
 * @see RFC 2585 §4.1 application/pkix-cert: one certificate, DER
 */
export function sendCertificate(
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  { certificate, chain }: CertificateAnswer,
): FastifyReply | undefined {
  const form = formOf(request.headers.accept);
  if (form === 'application/json') return undefined;
  const body =
    form === 'application/pkix-cert'
      ? Buffer.from(decodePem(certificate, 'CERTIFICATE'))
      : // Bytes: what an Idempotency-Key keeps is given back as JSON.
        Buffer.from([certificate, ...chain].map((pem) => `${pem.trim()}\n`).join(''));
  return reply.header('content-type', form).header('vary', 'accept').send(body);
}

/** The form with the highest quality; of equals the one that is named outright, then the one that is named first. JSON when none is. */
export function formOf(accept: string | undefined): CertificateForm {
  let best: CertificateForm = 'application/json';
  let bestQuality = 0;
  // Bounded: a header has at most some kilobytes, and each part is read once.
  for (const range of (accept ?? '').split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const form = forms.find((each) => each === name);
    if (form === undefined) continue;
    const quality = qualityOf(parameters);
    if (quality > bestQuality) {
      best = form;
      bestQuality = quality;
    }
  }
  return best;
}

/** RFC 9110 §12.4.2: 0 to 1, 1 when it is left out; what can't be read counts as not acceptable. */
function qualityOf(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  if (text === undefined) return 1;
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 0;
}
