import { CommunicationProtocolEnum, DaprClient, HttpMethod, StateConcurrencyEnum } from '@dapr/dapr';
import pLimit from 'p-limit';
import type { CloudEvent } from '../../shared/dapr/cloud-event.ts';
import type { Sidecar } from '../../shared/dapr/sidecar.ts';
import {
  ConflictError,
  isProblem,
  sidecarError,
  SidecarError,
  type SidecarRequest,
  type SidecarResponse,
} from '../../shared/dapr/sidecar-call.ts';
import { isConflict, isGuarded, type GuardedWrite } from '../../shared/dapr/state-operations.ts';
import type { StateEntry, StateOperation } from '../../shared/dapr/state-store.ts';
import { outgoingHeaders } from '../../shared/telemetry/request-context.ts';
import { withTimeout } from '../../shared/util/timeout.ts';
import { sdkLogger } from './sdk-logger.ts';
import { addTraceHeaders } from './trace-headers.ts';

/**
 * The part of the sidecar that `returns` uses, with `DaprClient` behind it (services/decisions/0139-two-styles.md). The probe of the
 * sidecar is a shared part, because `DaprClient` asks for the metadata instead of the health.
 */
export type SdkSidecar = Pick<Sidecar, 'state' | 'publish' | 'invoke' | 'close'>;

const STORE = 'statestore';
const BROKER = 'pubsub';
/** The client has no timeout and no bound of its own. */
const CALL_TIMEOUT_MS = 15_000;
const MAX_CALLS = 64;
const MAX_WAITING = 1_000;

export function createSdkSidecar(options: {
  port: number;
  apiToken: string;
  log: Parameters<typeof sdkLogger>[0];
}): SdkSidecar {
  const client = new DaprClient({
    daprHost: '127.0.0.1',
    daprPort: String(options.port),
    communicationProtocol: CommunicationProtocolEnum.HTTP,
    daprApiToken: options.apiToken,
    logger: sdkLogger(options.log),
  });
  const stopTraceHeaders = addTraceHeaders(options.port);
  const limit = pLimit(MAX_CALLS);

  /** The result of a call, within the bounds. A failure becomes the response that the sidecar gave. */
  async function respond(what: string, send: () => Promise<unknown>): Promise<SidecarResponse> {
    if (limit.pendingCount >= MAX_WAITING) throw new SidecarError(what, 503, 'TOO_MANY_CALLS');
    return limit(async () => {
      try {
        return succeeded(await withTimeout(CALL_TIMEOUT_MS, send()));
      } catch (error) {
        return failed(what, error);
      }
    });
  }

  async function readMany(keys: readonly string[]): Promise<Map<string, StateEntry<unknown>>> {
    // `get` returns no ETag over HTTP. `getBulk` does.
    const response = await respond('read state', () =>
      client.state.getBulk(STORE, [...keys], { parallelism: 10 }),
    );
    if (response.status >= 300) throw sidecarError('read state', response);
    const rows = JSON.parse(response.body.toString() || '[]') as BulkRow[];
    if (rows.some(({ error }) => error)) throw sidecarError('read state', { ...response, status: 500 });
    return new Map(
      rows.flatMap(({ key, data, etag }): [string, StateEntry<unknown>][] =>
        data === undefined || data === null || !etag ? [] : [[key, { value: data, etag }]],
      ),
    );
  }

  async function write(...writes: StateOperation[]): Promise<void> {
    const guarded = writes.filter(isGuarded);
    // No document of `returns` is shared by many writers.
    if (guarded.length < writes.length) throw new Error('this client has no amendments');
    const [first] = guarded;
    if (!first) return;
    const response = await respond('write state', () =>
      guarded.length === 1 ? writeOne(first) : client.state.transaction(STORE, guarded.map(toOperation)),
    );
    if (response.status < 300) return;
    if (isConflict(response)) throw new ConflictError(`another writer saved ${first.key} first`);
    throw sidecarError('write state', response);
  }

  /** `save` and `delete` return an error instead of throwing it. */
  async function writeOne(operation: GuardedWrite): Promise<void> {
    const { error } =
      operation.op === 'put'
        ? await client.state.save(STORE, [toSaved(operation) as never])
        : await client.state.delete(STORE, operation.key, {
            etag: operation.etag,
            concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE,
          });
    if (error) throw error;
  }

  async function publish(event: CloudEvent): Promise<void> {
    const { traceparent } = outgoingHeaders();
    const traced = traceparent === undefined ? event : { ...event, traceparent };
    const response = await respond(`publish ${event.type}`, async () => {
      const { error } = await client.pubsub.publish(BROKER, event.type, traced, {
        contentType: 'application/cloudevents+json',
      });
      if (error) throw error;
    });
    if (response.status >= 300) throw sidecarError(`publish ${event.type}`, response);
  }

  async function invoke(appId: string, { method, path, headers, body }: SidecarRequest) {
    const data = body === undefined ? undefined : (JSON.parse(body.toString()) as object);
    const response = await respond(`invoke ${appId}`, () =>
      client.invoker.invoke(appId, path.replace(/^\//, ''), method as HttpMethod, data, {
        headers: { ...headers },
      }),
    );
    if (response.status >= 500 && !isProblem(response)) throw sidecarError(`invoke ${appId}`, response);
    return response;
  }

  return {
    state: {
      get: async <T>(key: string) => (await readMany([key])).get(key) as StateEntry<T> | undefined,
      getMany: async <T>(keys: readonly string[]) =>
        (keys.length === 0 ? new Map() : await readMany([...new Set(keys)])) as Map<string, StateEntry<T>>,
      write,
    },
    publish,
    invoke,
    async close() {
      stopTraceHeaders();
      await client.stop();
    },
  };
}

interface BulkRow {
  key: string;
  data?: unknown;
  etag?: string;
  error?: string;
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** The client gives neither the status nor the headers of a success. */
function succeeded(result: unknown): SidecarResponse {
  const body = result === undefined || result === '' ? '' : JSON.stringify(result);
  return { status: body === '' ? 204 : 200, headers: JSON_TYPE, body: Buffer.from(body) };
}

/** The client throws an error whose message is a JSON text with the status and the body of the response. */
function failed(what: string, error: unknown): SidecarResponse {
  const { status, error_msg: text = '' } = parsedMessage(error);
  if (status === undefined) throw new SidecarError(what, 503, 'SIDECAR_UNREACHABLE', { cause: error });
  const isDocument = text.includes('"urn:sidecart:problem:');
  const type = isDocument ? 'application/problem+json' : 'application/json';
  return { status, headers: { 'content-type': type }, body: Buffer.from(text) };
}

function parsedMessage(error: unknown): { status?: number; error_msg?: string } {
  try {
    return JSON.parse((error as Error).message) as { status?: number; error_msg?: string };
  } catch {
    return {};
  }
}

const FIRST_WRITE = { concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE };

/** The types of the client demand a consistency, and for an ETag an object. Dapr's API wants neither. */
function toSaved(write: Extract<GuardedWrite, { op: 'put' }>) {
  const { key, value, etag, ttlSeconds } = write;
  return {
    key,
    value,
    ...(ttlSeconds ? { metadata: { ttlInSeconds: String(ttlSeconds) } } : {}),
    ...(etag ? { etag } : {}),
    options: { ...FIRST_WRITE },
  };
}

function toOperation(write: GuardedWrite) {
  const request =
    write.op === 'put' ? toSaved(write) : { key: write.key, etag: write.etag, options: FIRST_WRITE };
  return { operation: write.op === 'put' ? 'upsert' : 'delete', request: request as never };
}
