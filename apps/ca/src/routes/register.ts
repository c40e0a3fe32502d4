// Puts a route of the contract table on the app: schema, guard and handler from one place, so none can be forgotten.
import { ProblemSchema, routes, type RouteContract, type RouteName } from '@keyline/api';
import { hashToken, type Caller } from '@keyline/fleet';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { bearerOf, type Authenticator } from '../authenticate.ts';
import type { DiskReserve } from '../disk-reserve.ts';
import type { FairWork } from '../fair-work.ts';
import type { ListenerBounds } from '../listener-bounds.ts';
import { assertOwnOrigin, type OwnOrigins } from '../own-origin.ts';
import { assertBodyTaken, completeBody } from '../request-body.ts';
import type { RateLimits } from '../rate-limits.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its own guard sees to strangers. */
    isGuarded?: boolean;
    /** Whether an Idempotency-Key means something here. */
    keepsAnswer?: boolean;
  }
}

type Part<Contract, Key extends string> =
  Contract extends Record<Key, infer Schema extends TSchema> ? Static<Schema> : undefined;

export interface RouteInput<Name extends RouteName> {
  readonly params: Part<(typeof routes)[Name], 'params'>;
  readonly query: Part<(typeof routes)[Name], 'query'>;
  readonly body: Part<(typeof routes)[Name], 'body'>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Proves the caller anew if certificates or tokens ended since: for work that goes on for long. @throws {KeylineError} as the guard */
  readonly stillAllowed: () => Promise<void>;
}

export type RouteOutput<Name extends RouteName> = Part<(typeof routes)[Name], 'response'>;

export type Register = <Name extends RouteName>(
  name: Name,
  handler: (input: RouteInput<Name>) => Promise<RouteOutput<Name> | FastifyReply>,
) => void;

/** What an answer with a certificate may be instead of JSON, by Accept. */
const certificateForms = {
  'application/pkix-cert': {
    schema: { type: 'string', format: 'binary', description: 'The certificate, DER.' },
  },
  'application/pem-certificate-chain': {
    schema: { type: 'string', description: 'The certificate and its issuer, PEM; not the root.' },
  },
};

export function createRegister(
  app: FastifyInstance,
  given: {
    readonly authenticator: Authenticator;
    readonly limits: RateLimits;
    readonly origins: OwnOrigins;
    readonly bounds: ListenerBounds;
    readonly work: FairWork;
    readonly reserve: Pick<DiskReserve, 'assertRoom'>;
  },
): Register {
  const { authenticator, limits, origins, bounds, work, reserve } = given;

  async function guard(request: FastifyRequest, contract: RouteContract): Promise<void> {
    assertOwnOrigin(request, origins);
    if (contract.admits.includes('anyone')) {
      work.admit(request.ip);
    } else {
      await prove(request, contract);
    }
    // After the proof: what a route takes is not told to strangers.
    assertBodyTaken(request, contract);
    if (contract.method !== 'GET' && contract.underReserve !== true) reserve.assertRoom();
  }

  async function prove(request: FastifyRequest, contract: RouteContract): Promise<void> {
    request.proofEpoch = authenticator.epoch();
    const secret = bearerOf(request);
    if (secret !== undefined) limits.assertMayGuess(request, secret);
    let caller: Caller | undefined;
    try {
      caller = await authenticator.authorize(request, contract);
    } catch (error) {
      work.admit(request.ip);
      limits.countFailure(request);
      throw error;
    }
    request.caller = caller;
    if (caller === undefined) return;
    if (secret !== undefined) limits.proved(hashToken(secret));
    bounds.prove(request);
    work.count(request.ip);
    limits.count(caller);
  }

  return (name, handler) => {
    const contract: RouteContract = routes[name];
    const answer = {
      content: {
        [contract.responseType ?? 'application/json']: { schema: contract.response },
        ...(contract.givesCertificate === true ? certificateForms : {}),
      },
    };
    app.route({
      config: { isGuarded: true, keepsAnswer: contract.keepsAnswer === true },
      method: contract.method,
      url: contract.url,
      schema: {
        operationId: name,
        tags: [contract.tag],
        summary: contract.summary,
        description: [contract.description, `Admits: ${contract.admits.join(', ')}.`]
          .filter(Boolean)
          .join('\n\n'),
        security: contract.admits.includes('anyone')
          ? []
          : [{ clientCertificate: [] }, { apiToken: [] }],
        ...(contract.params === undefined ? {} : { params: contract.params }),
        ...(contract.query === undefined ? {} : { querystring: contract.query }),
        ...(contract.body === undefined
          ? {}
          : {
              body: {
                content: Object.fromEntries(
                  (contract.takes ?? []).map((type) => [
                    type,
                    { schema: type === 'application/json' ? contract.body : {} },
                  ]),
                ),
              },
            }),
        // A repeat answers 200 where the first time answered 201.
        response: {
          [contract.status]: answer,
          '2xx': answer,
          default: { content: { 'application/problem+json': { schema: ProblemSchema } } },
        },
      },
      onRequest: (request) => guard(request, contract),
      preValidation: (request, _reply, done) => {
        try {
          completeBody(request, contract);
          done();
        } catch (error) {
          done(error as Error);
        }
      },
      handler: async (request, reply) => {
        // A body may take its time: who was admitted at its beginning may have been revoked at its end.
        let epoch = request.proofEpoch;
        const stillAllowed = async (): Promise<void> => {
          const now = authenticator.epoch();
          if (request.caller === undefined || epoch === now) return;
          request.caller = await authenticator.authorize(request, contract);
          epoch = now;
        };
        if (epoch !== authenticator.epoch()) await stillAllowed();
        void reply.status(contract.status);
        return handler({
          params: request.params as never,
          query: request.query as never,
          body: request.body as never,
          request,
          reply,
          stillAllowed,
        });
      },
    });
  };
}
