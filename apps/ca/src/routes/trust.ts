// The trust bundle: the roots that relying parties trust, and adding to them.
import { addTrust } from '@keyline/fleet';
import { formatInstant } from '@keyline/kernel';
import { decodePem, parseCertificate, parseName, readSequence } from '@keyline/x509';
import type { FastifyReply } from 'fastify';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { etagOf, sendCacheable } from '../send-cacheable.ts';
import { trustPems } from '../tls-identity.ts';
import type { Register } from './register.ts';

/** The roots that relying parties trust; the same on both listeners. */
export function createTrustAnswer({
  authorities,
  fleet: { clock },
}: Pick<ServiceContext, 'authorities'> & {
  readonly fleet: Pick<ServiceContext['fleet'], 'clock'>;
}): (reply: FastifyReply) => Promise<FastifyReply> {
  let last = { body: '', etag: '', modifiedAt: 0 };
  return (reply) => {
    const body = trustPems(authorities).join('');
    if (body !== last.body) last = { body, etag: etagOf(body), modifiedAt: clock.now() };
    return sendCacheable(reply, {
      ...last,
      type: 'application/pem-certificate-chain',
      cacheControl: 'public, max-age=300',
    });
  };
}

export function registerTrust(register: Register, service: ServiceContext): void {
  const { fleet, authorities, second } = service;
  const answer = createTrustAnswer(service);
  register('trustBundle', async ({ reply }) => answer(reply));

  const trust = second.guard({
    action: 'addTrustCertificate',
    describe: ({ certificate }: { certificate: string }) => {
      const { commonName, serial } = parseCertificate(decodePem(certificate, 'CERTIFICATE'));
      return `add "${commonName ?? ''}" (serial ${serial}) to the trust bundle`;
    },
    async work(caller, { certificate }) {
      const added = await addTrust(fleet, {
        caller,
        certificate: decodePem(certificate, 'CERTIFICATE'),
        trusted: authorities.trust(),
        roots: authorities.roots(),
      });
      await service.authoritiesChanged();
      const { commonName, issuerDer, serial, notAfter, selfSigned } = added;
      return {
        subject: commonName ?? '',
        issuer: parseName(readSequence(issuerDer)).commonNames.at(-1) ?? '',
        serial,
        notAfter: formatInstant(notAfter),
        selfSigned,
      };
    },
  });
  register('addTrustCertificate', ({ body, request }) =>
    trust(requireCaller(request.caller), body),
  );
}
