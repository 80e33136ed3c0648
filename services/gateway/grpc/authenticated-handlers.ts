import type { handleServerStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { once, type EventEmitter } from 'node:events';
import type { Caller } from '../../shared/http/caller.ts';
import { addRequestFields } from '../../shared/telemetry/request-context.ts';
import type { Logger } from '../../shared/telemetry/logger.ts';
import { OverloadedError, toProblem } from '../../shared/http/problem.ts';
import type { Freshness } from '../auth/revoked-sessions.ts';
import type { AccessControl, OpenStream } from '../auth/access-control.ts';
import { toGrpcError, type GrpcError } from './errors.ts';
import type { Protocol } from './protocol.ts';

/** An authorized call. */
export interface AuthorizedCall<Request> {
  request: Request;
  caller: Caller;
  metadata: Metadata;
  /** Aborts when the call is cancelled, its deadline passes, or the token of a stream becomes invalid. */
  signal: AbortSignal;
}

export interface AuthenticatedHandlersDeps {
  accessControl: Pick<
    AccessControl,
    'authenticate' | 'clientAddress' | 'limits' | 'concurrency' | 'openStream'
  >;
  log: Logger;
  encode: Protocol['encode'];
}

export interface AuthenticatedHandlers {
  /** @param freshness `current` for methods that change something */
  unary: <Request, Response>(
    freshness: Freshness,
    answer: (asked: AuthorizedCall<Request>) => Promise<{ message: Response; metadata?: Metadata }>,
  ) => handleUnaryCall<Request, Response>;
  stream: <Request, Response>(
    messages: (asked: AuthorizedCall<Request>) => AsyncIterable<Response>,
  ) => handleServerStreamingCall<Request, Response>;
}

/**
 * Creates the handlers of the service, so that every handler requires an access token. The service behind checks the owner. Errors
 * of handlers become a status. A method of the .proto without a handler is UNIMPLEMENTED.
 */
export function createAuthenticatedHandlers({
  accessControl,
  log,
  encode,
}: AuthenticatedHandlersDeps): AuthenticatedHandlers {
  const { authenticate, clientAddress, limits, concurrency, openStream } = accessControl;

  async function authorize(call: Call, freshness: Freshness): Promise<Caller> {
    const peer = call.getPeer().replace(/:\d+$/, '');
    const address = clientAddress(peer, metadataValue(call.metadata, 'x-forwarded-for'));
    const caller = await authenticate(metadataValue(call.metadata, 'authorization'), address, freshness);
    addRequestFields({ caller_id: caller.id });
    const refusal = await limits.count('api', caller.id);
    if (refusal) throw refusal;
    return caller;
  }

  function failure(error: unknown, signal: AbortSignal): GrpcError {
    const problem = toProblem(error);
    // An error after the caller has left is not a failure.
    const isFault = problem.status >= 500 && !(problem instanceof OverloadedError);
    if (isFault && !signal.aborted) log.error({ err: error }, 'request failed');
    return toGrpcError(problem, encode);
  }

  return {
    unary: (freshness, answer) => async (call, callback) => {
      const { request, metadata } = call;
      const signal = signalOf(call);
      try {
        const answered = await concurrency.run(async () =>
          answer({ request, caller: await authorize(call, freshness), metadata, signal }),
        );
        if (answered.metadata) call.sendMetadata(answered.metadata);
        callback(null, answered.message);
      } catch (error) {
        callback(failure(error, signal));
      }
    },
    stream: (messages) => async (call) => {
      const { request, metadata } = call;
      const cancelled = signalOf(call);
      let stream: OpenStream | undefined;
      try {
        const caller = await authorize(call, 'recent');
        if (cancelled.aborted) return;
        stream = openStream(caller, metadataValue(metadata, 'authorization'));
        const signal = AbortSignal.any([cancelled, stream.revoked]);
        for await (const message of messages({ request, caller, metadata, signal })) {
          if (signal.aborted) break;
          if (!call.write(message)) await once(call, 'drain', { signal });
        }
        stream.revoked.throwIfAborted();
        call.end();
      } catch (error) {
        const reason: unknown = stream?.revoked.aborted ? stream.revoked.reason : error;
        // grpc-js ends a stream with a status by this event.
        if (!cancelled.aborted) call.emit('error', failure(reason, cancelled));
      } finally {
        stream?.close();
      }
    },
  };
}

interface Call {
  metadata: Metadata;
  getPeer: () => string;
}

function signalOf(call: Pick<EventEmitter, 'once'>): AbortSignal {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort());
  return controller.signal;
}

/** A metadata value. Several values are joined with commas, as in HTTP. */
export function metadataValue(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  return values.length === 0 ? undefined : values.join(', ');
}
