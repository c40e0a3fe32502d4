// Jobs: one change of many devices, done by the service at a bounded rate.
import { Type, type Static } from 'typebox';
import {
  DeviceIdSchema,
  DeviceStateSchema,
  LabelName,
  LabelsSchema,
  NothingSchema,
  PageQuerySchema,
  RevocationReasonSchema,
  listOf,
  nullable,
  object,
  pageQuery,
  plainText,
  timestamp,
} from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

/** Ids of one request: a body holds so many of the longest. */
const idsOfRequest = 800;

const JobActionSchema = Type.Union(
  [
    Type.Literal('revoke'),
    Type.Literal('suspend'),
    Type.Literal('resume'),
    Type.Literal('decommission'),
    Type.Literal('label'),
  ],
  { description: 'What is done to each device.' },
);

const SelectSchema = object(
  {
    state: Type.Optional(DeviceStateSchema),
    type: Type.Optional(plainText(80, 'Device type.')),
    batch: Type.Optional(plainText(64, 'Batch they were signed for.')),
    label: Type.Optional(
      Type.String({ maxLength: 270, pattern: '^[^=]+=.*$', description: 'name=value' }),
    ),
    q: Type.Optional(plainText(64, 'Id begins with.')),
  },
  'Devices by what they are when the job is made; those from whose state it can not be done are left out.',
);

const IdsSchema = Type.Array(DeviceIdSchema, {
  minItems: 1,
  maxItems: idsOfRequest,
  description: 'Devices or services by name; more are added by /v1/jobs/:id/devices.',
});

const JobIdSchema = Type.String({
  maxLength: 64,
  pattern: '^job_[A-Za-z0-9_-]+$',
  description: 'Id of the job.',
  examples: ['job_4f1c0a7b4f1c0a7b4f1c0a7b'],
});

export const CreateJobRequestSchema = object({
  action: JobActionSchema,
  reason: Type.Optional(RevocationReasonSchema),
  set: Type.Optional(LabelsSchema),
  remove: Type.Optional(
    Type.Array(LabelName, { maxItems: 32, description: 'Names of labels to take off.' }),
  ),
  rate: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'Devices a second, at most; default 100.',
    }),
  ),
  select: Type.Optional(SelectSchema),
  ids: Type.Optional(IdsSchema),
});

export const JobSchema = object({
  id: JobIdSchema,
  action: JobActionSchema,
  state: Type.Union(
    [
      Type.Literal('selecting'),
      Type.Literal('waiting'),
      Type.Literal('running'),
      Type.Literal('stopped'),
      Type.Literal('done'),
    ],
    {
      description:
        'selecting: which devices is being written down. waiting: to be started with their number. stopped: can be started again.',
    },
  ),
  total: Type.Integer({ description: 'Devices it is for.' }),
  left: Type.Integer({ description: 'Those without a result yet.' }),
  changed: Type.Integer({ description: 'Those that it has changed.' }),
  unchanged: Type.Integer({ description: 'Those that were so already.' }),
  failed: Type.Integer({ description: 'Those of which it was refused; see the results.' }),
  rate: Type.Integer({ description: 'Devices a second, at most.' }),
  by: Type.String({
    description: 'Who made it, or started it last.',
    examples: ['admin:admin@keyline'],
  }),
  createdAt: timestamp('Made.'),
  startedAt: nullable(timestamp('Started first.')),
  endedAt: nullable(timestamp('Done, or stopped last.')),
  note: nullable(Type.String({ description: 'Why it was stopped, where nobody said so.' })),
});
export type JobView = Static<typeof JobSchema>;

const JobResultStatusSchema = Type.Union(
  [
    Type.Literal('pending'),
    Type.Literal('changed'),
    Type.Literal('unchanged'),
    Type.Literal('failed'),
  ],
  { description: 'How it went with the device.' },
);

export const JobResultListSchema = listOf(
  object({
    device: Type.String({ description: 'Id of the device.' }),
    status: JobResultStatusSchema,
    code: nullable(Type.String({ description: 'Error code of one that failed.' })),
    detail: nullable(Type.String({ description: 'Why it failed.' })),
    at: nullable(timestamp('When it had its result.')),
    seq: nullable(Type.Integer({ description: 'The ledger entry that changed it.' })),
  }),
);
export type JobResultList = Static<typeof JobResultListSchema>;

export const JobListSchema = listOf(JobSchema);

export const JobParamsSchema = object({ id: JobIdSchema });

export const jobRoutes = {
  createJob: {
    method: 'POST',
    url: '/v1/jobs',
    admits: administrators,
    tag: 'devices',
    summary: 'Prepare one change of many devices',
    description:
      'Which devices is written down at once and does not change any more. Nothing is done until the job is started with their number.',
    status: 201,
    body: CreateJobRequestSchema,
    takes: json,
    response: JobSchema,
    keepsAnswer: true,
  },
  addToJob: {
    method: 'POST',
    url: '/v1/jobs/:id/devices',
    admits: administrators,
    tag: 'devices',
    summary: 'Add devices by name to a job that waits',
    status: 200,
    params: JobParamsSchema,
    body: object({ ids: IdsSchema }),
    takes: json,
    response: JobSchema,
  },
  startJob: {
    method: 'POST',
    url: '/v1/jobs/:id/start',
    admits: administrators,
    tag: 'devices',
    summary: 'Start a job, or one that was stopped again, by saying how many devices are left',
    status: 200,
    params: JobParamsSchema,
    body: object({
      expect: Type.Integer({
        minimum: 0,
        description: 'Devices without a result yet; another number starts nothing.',
      }),
    }),
    takes: json,
    response: JobSchema,
  },
  stopJob: {
    method: 'POST',
    url: '/v1/jobs/:id/stop',
    admits: administrators,
    tag: 'devices',
    summary: 'Stop a job: no device is changed any more once this is answered',
    status: 200,
    params: JobParamsSchema,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: JobSchema,
    underReserve: true,
  },
  listJobs: {
    method: 'GET',
    url: '/v1/jobs',
    admits: readers,
    tag: 'devices',
    summary: 'Jobs, the newest first',
    status: 200,
    query: PageQuerySchema,
    response: JobListSchema,
  },
  getJob: {
    method: 'GET',
    url: '/v1/jobs/:id',
    admits: readers,
    tag: 'devices',
    summary: 'One job, with how far it is',
    status: 200,
    params: JobParamsSchema,
    response: JobSchema,
  },
  listJobResults: {
    method: 'GET',
    url: '/v1/jobs/:id/results',
    admits: readers,
    tag: 'devices',
    summary: 'How a job went with each device',
    status: 200,
    params: JobParamsSchema,
    query: object({ status: Type.Optional(JobResultStatusSchema), ...pageQuery }),
    response: JobResultListSchema,
  },
} as const satisfies Record<string, RouteContract>;
