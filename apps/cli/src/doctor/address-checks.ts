// Addresses that the service was called by before it moved: certificates name them, so they must go on being answered.
import type { AddressesView } from '@keyline/api';
import { fetchPlain, type ApiClient } from '@keyline/client';
import { messageOf } from '@keyline/kernel';
import { ok, warn, type Finding } from './finding.ts';

const check = 'earlier address';

/** @param now epoch milliseconds */
export async function checkAddresses(client: ApiClient, now: number): Promise<Finding[]> {
  const { earlier } = await client.call('getAddresses', {});
  return Promise.all(earlier.map((one) => checkEarlier(one, now)));
}

async function checkEarlier(
  { http, until, authorities }: AddressesView['earlier'][number],
  now: number,
): Promise<Finding> {
  const names = [
    ...(until !== null && Date.parse(until) > now ? [`certificates until ${dayOf(until)}`] : []),
    ...authorities.map(({ id, notAfter }) => `the authority ${id} until ${dayOf(notAfter)}`),
  ];
  if (names.length === 0) return ok(check, `${http} is named by no certificate any more`);
  const named = `named by ${names.join(' and ')}`;
  const reason = await whyUnanswered(http);
  return reason === undefined
    ? ok(check, `${http} is answered; ${named}`)
    : warn(
        check,
        `${http} is not answered from here (${reason}); ${named}`,
        'Let that name or address lead to this machine until then: who checks CRL or OCSP there finds nothing else.',
      );
}

const dayOf = (instant: string): string => instant.slice(0, 10);

async function whyUnanswered(http: string): Promise<string | undefined> {
  try {
    const { status } = await fetchPlain(`${http}/v1/trust-bundle`);
    return status === 200 ? undefined : `status ${String(status)}`;
  } catch (error) {
    return messageOf(error).replace(/\.$/, '');
  }
}
