<?php
declare( strict_types=1 );

namespace Platen;

/**
 * The keys with which a task signs its requests to AWS: those of its role, which ECS hands out for
 * some hours, or fixed ones for a store that is not AWS'. They are in APCu until five minutes before
 * their end, in no file. When ECS does not answer, current() throws within seconds.
 */
final class TaskRole {

	private const CACHED  = 'platen:task-role:';
	private const RENEW   = 300; // seconds before their end
	private const TIMEOUT = 2;   // seconds: the address is on the task's own instance

	/** @var array{id: string, secret: string, token: string, ends: int}|null */
	private ?array $keys = null;

	/** @param string $url where ECS gives the role's keys; empty: $id and $secret are fixed */
	public function __construct( private readonly string $url, private readonly string $id = '', private readonly string $secret = '' ) {
	}

	/** @return array{id: string, secret: string, token: string, ends: int} */
	public function current(): array {
		if ( '' === $this->url ) {
			if ( '' === $this->id || '' === $this->secret ) {
				throw new MediaException( 'this task has no keys for the bucket: it has no task role. Run `platen up`, which makes the role and a task definition that names it', 401 );
			}
			return array(
				'id'     => $this->id,
				'secret' => $this->secret,
				'token'  => '',
				'ends'   => PHP_INT_MAX,
			);
		}
		if ( null === $this->keys && self::shares() ) {
			$shared     = apcu_fetch( $this->name() );
			$this->keys = is_array( $shared ) ? $shared : null;
		}
		if ( null === $this->keys || $this->keys['ends'] - time() <= self::RENEW ) {
			$this->renew();
		}
		return $this->keys;
	}

	/** Forgets the keys: the store says that they ended. */
	public function forget(): void {
		$this->keys = null;
		if ( '' !== $this->url && self::shares() ) {
			apcu_delete( $this->name() );
		}
	}

	private function renew(): void {
		$curl = curl_init( $this->url );
		curl_setopt_array(
			$curl,
			array(
				CURLOPT_RETURNTRANSFER => true,
				CURLOPT_CONNECTTIMEOUT => self::TIMEOUT,
				CURLOPT_TIMEOUT        => self::TIMEOUT,
				CURLOPT_PROXY          => '', // never through one that a site set for its own requests
			)
		);
		$body   = curl_exec( $curl );
		$status = curl_getinfo( $curl, CURLINFO_RESPONSE_CODE );
		$answer = is_string( $body ) && 200 === $status ? json_decode( $body, true ) : null;
		$ends   = strtotime( (string) ( $answer['Expiration'] ?? '' ) );
		if ( ! is_string( $answer['AccessKeyId'] ?? null ) || ! is_string( $answer['SecretAccessKey'] ?? null ) || false === $ends ) {
			if ( null !== $this->keys && $this->keys['ends'] > time() ) {
				return; // they still hold
			}
			$this->keys = null;
			// Neither the path nor the answer is shown: the first opens the second.
			throw new MediaException( sprintf( 'ECS did not give this task the keys of its role (%s). Look whether the task has a task role, and whether it still exists', is_string( $body ) ? "HTTP $status" : curl_error( $curl ) ) );
		}
		$this->keys = array(
			'id'     => $answer['AccessKeyId'],
			'secret' => $answer['SecretAccessKey'],
			'token'  => (string) ( $answer['Token'] ?? '' ),
			'ends'   => $ends,
		);
		if ( self::shares() ) {
			apcu_store( $this->name(), $this->keys, max( 1, $ends - time() - self::RENEW ) );
		}
	}

	private function name(): string {
		return self::CACHED . sha1( $this->url );
	}

	private static function shares(): bool {
		return function_exists( 'apcu_enabled' ) && apcu_enabled();
	}
}
