<?php
declare( strict_types=1 );

namespace Platen;

/**
 * One bucket of S3, as much of it as media need: files go in and out without being held in memory.
 *
 * Every request may be repeated without harm, so it is, with growing pauses, where the bucket did not
 * answer, said 5xx or asked to slow down. When all tries fail, a MediaException says what was tried
 * and what to do. After a store that could not be reached nobody asks again for REST seconds: a page
 * that needs ten files fails once, not ten times.
 */
final class S3 {

	private const PAUSE    = 150;   // milliseconds before the second try; twice that before the third
	private const CONNECT  = 2000;  // milliseconds
	private const ANSWER   = 10;    // seconds for what has no body to speak of
	private const SLOWEST  = 16384; // bytes a second over STALLED seconds: less is a connection that hangs
	private const STALLED  = 10;    // seconds
	private const REST     = 5;     // seconds
	private const DOWN     = 'platen:s3-down:';
	private const LONGEST  = 65536; // bytes of an error that are read

	private ?\CurlHandle $curl = null; // keeps its connection from one request to the next
	/** @var array{until: float, why: string}|null since all tries of a request failed */
	private ?array $down = null;

	/**
	 * @param array{bucket: string, region: string, endpoint: string} $media
	 * @param int $tries of each request: where a visitor waits, one
	 */
	public function __construct( private readonly array $media, private readonly TaskRole $role, private readonly int $tries = 3 ) {
	}

	/**
	 * Puts a file. With $absent only where there is none: false when there is. The store checks the
	 * bytes against their SHA-256, and keeps it.
	 *
	 * @param array<string, string> $headers in lower case
	 */
	public function put( string $key, string $file, array $headers = array(), bool $absent = false ): bool {
		$hash = hash_file( 'sha256', $file );
		if ( false === $hash ) {
			throw new MediaException( "read $file to put it into the bucket: not readable" );
		}
		$headers['x-amz-checksum-sha256'] = base64_encode( hex2bin( $hash ) );
		if ( $absent ) {
			$headers['if-none-match'] = '*';
		}
		try {
			$this->ask( 'PUT', $key, array(), $headers, $hash, $file );
		} catch ( MediaException $e ) {
			if ( $absent && 412 === $e->status ) {
				return false;
			}
			throw $e;
		}
		return true;
	}

	/**
	 * Gets an object into a file, whose old content goes. Null when there is no such object.
	 *
	 * @return array{size: int, time: int}|null
	 */
	public function get( string $key, string $file ): ?array {
		$answer = $this->ask( 'GET', $key, array(), array( 'x-amz-checksum-mode' => 'ENABLED' ), null, null, $file );
		if ( null === $answer ) {
			return null;
		}
		$sum = $answer['x-amz-checksum-sha256'] ?? null;
		// One over the parts of an upload in parts ends with their number, and is of other bytes.
		if ( null !== $sum && ! str_contains( $sum, '-' ) && base64_encode( hash_file( 'sha256', $file, true ) ) !== $sum ) {
			throw new MediaException( "get $key from the bucket {$this->media['bucket']}: the bytes that came are not those that were put" );
		}
		return self::facts( $answer );
	}

	/** @return array{size: int, time: int}|null null when there is no such object */
	public function head( string $key ): ?array {
		$answer = $this->ask( 'HEAD', $key );
		return null === $answer ? null : self::facts( $answer );
	}

	/** Deletes an object; one that is not there is fine. */
	public function delete( string $key ): void {
		$this->ask( 'DELETE', $key );
	}

	/**
	 * The objects whose keys begin with a prefix, page by page as they are asked for. With a
	 * delimiter, what follows it is one entry, which ends with the delimiter and comes after the
	 * objects of its page.
	 *
	 * @return \Generator<string, array{size: int, time: int}>
	 */
	public function list( string $prefix, string $delimiter = '', int $page = 1000 ): \Generator {
		$query = array(
			'list-type' => '2',
			'max-keys'  => (string) $page,
			'prefix'    => $prefix,
		);
		if ( '' !== $delimiter ) {
			$query['delimiter'] = $delimiter;
		}
		do {
			$answer = $this->ask( 'GET', '', $query );
			$list   = @simplexml_load_string( $answer['body'] ?? '', options: LIBXML_NONET ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
			if ( false === $list ) {
				throw new MediaException( "list $prefix of the bucket {$this->media['bucket']}: the answer is no list" );
			}
			foreach ( $list->Contents as $object ) {
				yield (string) $object->Key => array(
					'size' => (int) $object->Size,
					'time' => (int) strtotime( (string) $object->LastModified ),
				);
			}
			foreach ( $list->CommonPrefixes as $common ) {
				yield (string) $common->Prefix => array(
					'size' => 0,
					'time' => 0,
				);
			}
			$next                        = (string) $list->NextContinuationToken;
			$query['continuation-token'] = $next;
		} while ( 'true' === (string) $list->IsTruncated && '' !== $next );
	}

	/**
	 * The headers of a signed request, by AWS' "Signature Version 4". Public for its test, which has
	 * the figures of AWS' documentation.
	 *
	 * @param array<string, string> $query
	 * @param array<string, string> $headers in lower case; host is among them
	 * @param array{id: string, secret: string, token: string} $keys
	 * @return array<string, string>
	 */
	public static function sign( string $method, string $path, array $query, array $headers, string $hash, array $keys, string $region, int $now ): array {
		$time = gmdate( 'Ymd\THis\Z', $now );
		$day  = substr( $time, 0, 8 );

		$headers['x-amz-content-sha256'] = $hash;
		$headers['x-amz-date']           = $time;
		if ( '' !== $keys['token'] ) {
			$headers['x-amz-security-token'] = $keys['token'];
		}
		ksort( $headers, SORT_STRING );
		$canonical = '';
		foreach ( $headers as $name => $value ) {
			$canonical .= "$name:" . trim( $value ) . "\n";
		}
		$names     = implode( ';', array_keys( $headers ) );
		$scope     = "$day/$region/s3/aws4_request";
		$request   = implode( "\n", array( $method, self::escape( $path ), self::query( $query ), $canonical, $names, $hash ) );
		$statement = implode( "\n", array( 'AWS4-HMAC-SHA256', $time, $scope, hash( 'sha256', $request ) ) );

		$key = "AWS4{$keys['secret']}";
		foreach ( array( $day, $region, 's3', 'aws4_request' ) as $part ) {
			$key = hash_hmac( 'sha256', $part, $key, true );
		}
		$headers['authorization'] = "AWS4-HMAC-SHA256 Credential={$keys['id']}/$scope,SignedHeaders=$names,Signature=" . hash_hmac( 'sha256', $statement, $key );
		return $headers;
	}

	/**
	 * @param array<string, string> $query
	 * @param array<string, string> $headers
	 * @param string|null           $hash of the body, in hexadecimal; null: there is none
	 * @param string|null           $from file of the body
	 * @param string|null           $to   file for the answer's body
	 * @return array<string, string>|null headers of the answer, and `body`; null: 404
	 */
	private function ask( string $method, string $key, array $query = array(), array $headers = array(), ?string $hash = null, ?string $from = null, ?string $to = null ): ?array {
		$this->rests();
		$renewed = false;
		for ( $try = 1; ; $try++ ) {
			try {
				return $this->once( $method, $key, $query, $headers, $hash ?? hash( 'sha256', '' ), $from, $to );
			} catch ( MediaException $e ) {
				if ( 404 === $e->status && 'PUT' !== $method && ! str_contains( $e->getMessage(), 'NoSuchBucket' ) && '' !== $key ) {
					return null;
				}
				if ( ! $renewed && str_contains( $e->getMessage(), 'ExpiredToken' ) ) {
					$renewed = true;
					$this->role->forget();
					continue;
				}
				$again = $e->isTransient() || 409 === $e->status; // two conditional requests met
				if ( ! $again || $try >= $this->tries ) {
					if ( $e->isTransient() ) {
						$this->rest( $e->getMessage() );
					}
					throw $e;
				}
				// Each task its own pause, or all would come back at once.
				usleep( 1000 * random_int( intdiv( self::PAUSE, 2 ), self::PAUSE ) * ( 2 ** ( $try - 1 ) ) );
			}
		}
	}

	/**
	 * @param array<string, string> $query
	 * @param array<string, string> $headers
	 * @return array<string, string>
	 */
	private function once( string $method, string $key, array $query, array $headers, string $hash, ?string $from, ?string $to ): array {
		list( $base, $host, $path ) = $this->address( $key );

		$headers['host'] = $host;
		$headers         = self::sign( $method, $path, $query, $headers, $hash, $this->role->current(), $this->media['region'], time() );
		$lines           = array( 'expect:' ); // no pause before a body
		foreach ( $headers as $name => $value ) {
			$lines[] = "$name: $value";
		}
		$answer  = array( 'body' => '' );
		$this->curl ??= curl_init();
		curl_reset( $this->curl );
		$options = array(
			CURLOPT_URL               => $base . self::escape( $path ) . ( array() === $query ? '' : '?' . self::query( $query ) ),
			CURLOPT_PATH_AS_IS        => true,
			CURLOPT_CUSTOMREQUEST     => $method,
			CURLOPT_HTTPHEADER        => $lines,
			CURLOPT_PROTOCOLS_STR     => 'http,https',
			CURLOPT_FOLLOWLOCATION    => false,
			CURLOPT_CONNECTTIMEOUT_MS => self::CONNECT,
			CURLOPT_HEADERFUNCTION    => static function ( $curl, string $line ) use ( &$answer ): int {
				if ( str_starts_with( $line, 'HTTP/' ) ) {
					$answer = array( 'body' => '' );
				} elseif ( str_contains( $line, ':' ) ) {
					list( $name, $value )                 = explode( ':', $line, 2 );
					$answer[ strtolower( trim( $name ) ) ] = trim( $value );
				}
				return strlen( $line );
			},
		);
		if ( 'HEAD' === $method ) {
			$options[ CURLOPT_NOBODY ] = true;
		}
		$in = $out = null;
		if ( null !== $from ) {
			$in                             = fopen( $from, 'rb' );
			$options[ CURLOPT_UPLOAD ]      = true;
			$options[ CURLOPT_INFILE ]      = $in;
			$options[ CURLOPT_INFILESIZE ]  = (int) fstat( $in )['size'];
		}
		if ( null !== $to ) {
			$out = fopen( $to, 'wb' );
		}
		if ( null === $from && null === $to ) {
			$options[ CURLOPT_TIMEOUT ] = self::ANSWER;
		} else {
			$options[ CURLOPT_LOW_SPEED_LIMIT ] = self::SLOWEST;
			$options[ CURLOPT_LOW_SPEED_TIME ]  = self::STALLED;
		}
		$list                            = array() !== $query;
		$options[ CURLOPT_WRITEFUNCTION ] = static function ( $curl, string $bytes ) use ( &$answer, $out, $list ): int {
			if ( null !== $out && 200 === curl_getinfo( $curl, CURLINFO_RESPONSE_CODE ) ) {
				return (int) fwrite( $out, $bytes );
			}
			if ( $list || strlen( $answer['body'] ) < self::LONGEST ) {
				$answer['body'] .= $bytes;
			}
			return strlen( $bytes );
		};
		curl_setopt_array( $this->curl, $options );
		try {
			$ok     = curl_exec( $this->curl );
			$status = curl_getinfo( $this->curl, CURLINFO_RESPONSE_CODE );
		} finally {
			foreach ( array_filter( array( $in, $out ) ) as $file ) {
				fclose( $file );
			}
		}
		$what = sprintf( '%s %s in the bucket %s', strtolower( $method ), '' === $key ? ( $query['prefix'] ?? '' ) : $key, $this->media['bucket'] );
		if ( ! $ok ) {
			$why = curl_error( $this->curl );
			if ( CURLE_WRITE_ERROR === curl_errno( $this->curl ) ) {
				throw new MediaException( "$what: there is no room for it in " . dirname( (string) $to ), 507 );
			}
			$this->curl = null; // its connection is not to be used again
			throw new MediaException( "$what: no answer ($why). Try again in a minute; if it stays so, look at the task's way to S3 and at AWS' own status" );
		}
		if ( $status >= 200 && $status < 300 ) {
			return $answer;
		}
		throw new MediaException( "$what: " . $this->reason( $status, $answer['body'] ), $status );
	}

	/** What an error of the store means, and what to do. */
	private function reason( int $status, string $body ): string {
		$code    = preg_match( '~<Code>([^<]{1,80})</Code>~', $body, $m ) ? $m[1] : "HTTP $status";
		$message = preg_match( '~<Message>([^<]{1,300})</Message>~', $body, $m ) ? html_entity_decode( $m[1] ) : '';
		$advice  = match ( true ) {
			'NoSuchBucket' === $code          => 'The bucket is gone: run `platen up`',
			'RequestTimeTooSkewed' === $code  => 'The clock of this instance is wrong: replace the instance',
			in_array( $code, array( 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken' ), true )
			                                  => 'The store does not know the keys of this task: run `platen up`, which makes its role anew, or set aws_access_key_id and aws_secret_access_key right for a store of your own',
			403 === $status                   => 'The role of this task may not do that: run `platen up`, which makes its policy anew (s3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket, and kms:GenerateDataKey and kms:Decrypt of the bucket’s key)',
			429 === $status || $status >= 500 => 'S3 cannot at the moment: try again in a minute',
			default                           => 'Nothing was changed',
		};
		return trim( "$code $message" ) . ". $advice";
	}

	/** @return array{string, string, string} origin, host, path */
	private function address( string $key ): array {
		if ( '' === $this->media['endpoint'] ) {
			$host = "{$this->media['bucket']}.s3.{$this->media['region']}.amazonaws.com";
			return array( "https://$host", $host, "/$key" );
		}
		$at   = parse_url( $this->media['endpoint'] );
		$host = $at['host'] . ( isset( $at['port'] ) ? ":{$at['port']}" : '' );
		return array( "{$at['scheme']}://$host", $host, "/{$this->media['bucket']}/$key" );
	}

	private static function escape( string $path ): string {
		return implode( '/', array_map( 'rawurlencode', explode( '/', $path ) ) );
	}

	/** @param array<string, string> $query */
	private static function query( array $query ): string {
		ksort( $query, SORT_STRING );
		return http_build_query( $query, '', '&', PHP_QUERY_RFC3986 );
	}

	/**
	 * @param array<string, string> $answer
	 * @return array{size: int, time: int}
	 */
	private static function facts( array $answer ): array {
		return array(
			'size' => (int) ( $answer['content-length'] ?? 0 ),
			'time' => (int) strtotime( $answer['last-modified'] ?? '' ),
		);
	}

	/** Throws while the store rests. */
	private function rests(): void {
		$down = $this->down;
		if ( null === $down && self::shares() ) {
			$shared = apcu_fetch( self::DOWN . $this->media['bucket'] );
			$down   = is_array( $shared ) ? $shared : null;
		}
		if ( null !== $down && $down['until'] > microtime( true ) ) {
			throw new MediaException( "the bucket was not asked again after a moment ago: {$down['why']}" );
		}
		$this->down = null;
	}

	private function rest( string $why ): void {
		$this->down = array(
			'until' => microtime( true ) + self::REST,
			'why'   => $why,
		);
		if ( self::shares() ) {
			apcu_store( self::DOWN . $this->media['bucket'], $this->down, self::REST );
		}
	}

	private static function shares(): bool {
		return function_exists( 'apcu_enabled' ) && apcu_enabled();
	}
}
