<?php
/**
 * WordPress with the drop-in, served by PHP's own server beside a writer and a replica: which server
 * a page asks, the cookie of who has written, the header that tells, and what is left of the site when
 * servers are gone. Arguments: mysql or mariadb; then, to make testdata/statements.sql anew, corpus.
 */

declare( strict_types=1 );

require __DIR__ . '/pair.php';

use Platen\Config;

$site = Config::values();
sql( 'replica', 'SET GLOBAL read_only = 1' );
follow();
endpoint( 'writer', 'pass' );
endpoint( 'reader', 'pass', 'replica:3306' );

// wp-content is empty memory: themes as an installation has them, and the drop-in's locator; no
// object cache, so that every page asks the database.
$content = '/usr/share/wordpress/wp-content';
symlink( '/usr/share/platen/seed/themes', "$content/themes" );
symlink( '/usr/share/platen/seed/plugins', "$content/plugins" );
file_put_contents( "$content/db.php", "<?php require '/usr/share/platen/drop-ins/db.php';\n" );

$php     = array( PHP_BINARY, '-c', (string) php_ini_loaded_file() );
$install = proc_open( array( ...$php, '/usr/share/platen/jobs/install.php' ), array( array( 'pipe', 'r' ), array( 'pipe', 'w' ) ), $pipes );
fwrite( $pipes[0], '{"title":"Split","user":"editor","email":"ops@example.com"}' );
fclose( $pipes[0] );
expect( 'installed through the drop-in', true, str_contains( (string) stream_get_contents( $pipes[1] ), '"installed":true' ) );
proc_close( $install );
sql( 'primary', 'CREATE TABLE wp_mark (id int PRIMARY KEY, v varchar(20))' );

$server = proc_open( array( ...$php, '-d', 'error_log=/tmp/errors', '-S', '127.0.0.1:8080', '-t', '/usr/share/wordpress' ), array( 2 => array( 'file', '/tmp/server', 'w' ) ), $pipes );
register_shutdown_function( static fn() => proc_terminate( $server ) );
eventually( static fn() => false !== @stream_socket_client( 'tcp://127.0.0.1:8080', $code, $text, 1 ) );

/**
 * @param array<string, string> $form    a POST, when there are fields
 * @param list<string>          $headers
 * @return array{status: int, headers: string, body: string, reader: ?int, writer: ?int, wrote: bool}
 */
function fetch( string $path, array $form = array(), string $cookie = '', array $headers = array(), bool $token = true ): array {
	$headers[] = 'Cookie: ' . $cookie;
	$headers[] = 'Host: localhost:8080';
	if ( $token ) {
		$headers[] = 'X-Platen-Token: ' . Config::values()['site_token'];
	}
	if ( array() !== $form ) {
		$headers[] = 'Content-Type: application/x-www-form-urlencoded';
	}
	$body = @file_get_contents(
		"http://127.0.0.1:8080$path",
		false,
		stream_context_create(
			array(
				'http' => array(
					'method'          => array() === $form ? 'GET' : 'POST',
					'header'          => $headers,
					'content'         => http_build_query( $form ),
					'follow_location' => 0,
					'ignore_errors'   => true,
					'timeout'         => 60,
				),
			)
		)
	);
	$all   = implode( "\n", $http_response_header ?? array() );
	$count = preg_match( '~X-Platen-DB: reader=(\d+) writer=(\d+)~', $all, $match );
	return array(
		'status'  => (int) substr( (string) strstr( $all, ' ' ), 1, 3 ),
		'headers' => $all,
		'body'    => (string) $body,
		'reader'  => $count ? (int) $match[1] : null,
		'writer'  => $count ? (int) $match[2] : null,
		'wrote'   => str_contains( $all, 'Set-Cookie: platen_wrote=1' ),
	);
}

/** Connections that a server has taken so far. */
function taken( string $server ): int {
	return (int) admin( $server )->query( "SHOW GLOBAL STATUS LIKE 'Connections'" )->fetch_row()[1];
}

// A visitor.
settle();
$first = fetch( '/' );
expect( 'the front page', array( 200, true ), array( $first['status'], str_contains( $first['body'], 'Split' ) ) );
expect( 'what a first page notes down for the next makes nobody a writer', false, $first['wrote'] );
settle();
$before = taken( 'primary' );
$page   = fetch( '/' );
expect( 'a page asks the replica only', array( 0, true ), array( $page['writer'], $page['reader'] > 0 ) );
expect( 'and opens no connection to the writer', $before, taken( 'primary' ) );
expect( 'strangers are not told', null, fetch( '/', token: false )['reader'] );
expect( 'the REST API', array( 200, 0, true ), ( static fn( $p ) => array( $p['status'], $p['writer'], $p['reader'] > 0 ) )( fetch( '/index.php?rest_route=/wp/v2/posts' ) ) );

// A comment.
$comment = fetch( '/wp-comments-post.php', array( 'comment_post_ID' => '1', 'author' => 'Ann', 'email' => 'ann@example.com', 'comment' => 'First!' ) );
expect( 'a comment', array( 302, true, 0 ), array( $comment['status'], $comment['wrote'], $comment['reader'] ) );
expect( 'the cookie', 1, preg_match( '~Set-Cookie: platen_wrote=1; expires=[^;]+; Max-Age=[4-9]; path=/; HttpOnly; SameSite=Lax~', $comment['headers'] ) );
$own = fetch( '/?p=1', array(), 'platen_wrote=1' );
expect( 'who wrote it reads from the writer', array( 0, true ), array( $own['reader'], $own['writer'] > 0 ) );

// Somebody who works here.
$login = fetch( '/wp-login.php', array( 'log' => 'editor', 'pwd' => $site['admin_password'], 'wp-submit' => 'Log In' ), 'wordpress_test_cookie=WP%20Cookie%20check' );
preg_match_all( '~Set-Cookie: (wordpress_[^=]+=[^;]+)~', $login['headers'], $cookies );
$user = implode( '; ', $cookies[1] );
expect( 'logged in', true, str_contains( $user, 'wordpress_logged_in_' ) );
$admin = fetch( '/wp-admin/', array(), $user, token: false );
expect( 'an administrator is told, and asks the writer', array( 200, 0, true ), array( $admin['status'], $admin['reader'], $admin['writer'] > 0 ) );
expect( 'also on the front page', 0, fetch( '/', array(), $user, token: false )['reader'] );

if ( 'corpus' === ( $argv[2] ?? '' ) ) {
	foreach ( array( 'primary', 'replica' ) as $role ) {
		sql( $role, "SET GLOBAL log_output = 'TABLE'", 'SET GLOBAL general_log = 1' );
	}
	preg_match( '~wpApiSettings = .*?"nonce":"([0-9a-f]+)"~', fetch( '/wp-admin/post-new.php', array(), $user )['body'], $nonce );
	$api  = array( 'X-WP-Nonce: ' . ( $nonce[1] ?? '' ) );
	$post = json_decode( fetch( '/index.php?rest_route=/wp/v2/posts', array( 'title' => 'Day', 'content' => 'A "day" of it\'s own', 'status' => 'publish', 'categories' => '1', 'excerpt' => 'é' ), $user, $api )['body'], true )['id'] ?? 0;
	fwrite( STDERR, "post $post\n" );
	foreach ( array( 'tags' => array( 'name' => 'tag' ), 'categories' => array( 'name' => 'news' ), 'pages' => array( 'title' => 'About', 'status' => 'publish' ), "posts/$post" => array( 'title' => 'Night', 'tags' => '2', 'sticky' => '1' ), 'settings' => array( 'title' => 'Other' ),
		'users' => array( 'username' => 'ann', 'email' => 'a@example.com', 'password' => 'secret secret', 'roles' => 'author' ), 'comments' => array( 'post' => (string) $post, 'content' => 'Well done' ), 'users/me' => array( 'description' => 'me' ) ) as $route => $form ) {
		fetch( "/index.php?rest_route=/wp/v2/$route", $form, $user, $api );
	}
	fetch( '/wp-comments-post.php', array( 'comment_post_ID' => (string) $post, 'author' => 'Ann', 'email' => 'ann@example.com', 'comment' => 'Second!' ) );
	foreach ( array( 'edit.php', 'edit.php?post_status=draft&s=day', "post.php?post=$post&action=edit", 'edit-comments.php', 'edit-tags.php?taxonomy=category', 'edit-tags.php?taxonomy=post_tag', 'users.php', 'user-edit.php?user_id=2', 'profile.php', 'plugins.php', 'themes.php', 'options-general.php',
		'options-permalink.php', 'upload.php?mode=list', 'edit.php?post_type=page', 'tools.php', 'export.php', 'site-health.php?tab=debug', 'widgets.php', 'nav-menus.php', 'site-editor.php', 'admin-ajax.php?action=heartbeat', 'index.php', 'options.php', 'edit.php?m=202611&cat=1' ) as $screen ) {
		fetch( "/wp-admin/$screen", array(), $user );
	}
	foreach ( array( '/', '/?s=day+night', "/?p=$post", '/?page_id=2', '/?cat=1', '/?tag=tag', '/?author=1', '/?m=2026', '/?feed=rss2', '/?feed=comments-rss2', '/?sitemap=index', '/?sitemap=posts&sitemap-subtype=post&paged=1', '/?p=9999', '/?paged=2', '/?rest_route=/wp/v2/posts&search=day', '/?rest_route=/wp/v2/comments', '/?rest_route=/wp/v2/categories', '/?rest_route=/wp/v2/search&search=a', '/?attachment_id=5', '/?day=1&monthnum=2&year=2026', '/?orderby=comment_count&order=asc' ) as $path ) {
		fetch( $path );
	}
	fetch( "/index.php?rest_route=/wp/v2/posts/$post", array( '_method' => 'DELETE' ), $user, $api );
	fetch( "/index.php?rest_route=/wp/v2/posts/$post", array( '_method' => 'DELETE', 'force' => '1' ), $user, $api );
	fetch( '/index.php?rest_route=/wp/v2/users/2', array( '_method' => 'DELETE', 'force' => '1', 'reassign' => '1' ), $user, $api );
	$statements = array();
	foreach ( array( 'primary', 'replica' ) as $role ) {
		sql( $role, 'SET GLOBAL general_log = 0' );
		foreach ( admin( $role )->query( "SELECT CONVERT(argument USING utf8mb4) AS argument FROM mysql.general_log WHERE command_type = 'Query' AND user_host LIKE 'wordpress%'" ) as $row ) {
			// The shape is what matters: long texts, serialised data, hashes and times are cut or made equal.
			$text = (string) preg_replace( array( "~'((?:[^'\\\\]|\\\\.){24})(?:[^'\\\\]|\\\\.)*+'~s", '~\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b~', '~\b[0-9a-f]{24,}\b~', '~\b\d{2,}\b~', '~(\b\d+\b)(?:\s*,\s*\d+\b){3,}~', '~\s+~' ), array( "'$1'", '2026-01-01 00:00:00', 'f00', '9', '$1,2,3', ' ' ), $row['argument'] );
			if ( mb_check_encoding( $text, 'UTF-8' ) && ! str_contains( $text, '@@hostname' ) && ! str_contains( $text, 'REPLICA STATUS' ) && ! str_contains( $text, "\\'" ) ) {
				$statements[ trim( $text ) ] = true;
			}
		}
	}
	ksort( $statements );
	file_put_contents( '/corpus/statements.sql', implode( ";\n", array_keys( $statements ) ) . ";\n" );
	exit;
}

// The writer is gone.
sql( 'primary', "UPDATE wp_comments SET comment_date = '2020-01-01', comment_date_gmt = '2020-01-01'" ); // or the next one comes too soon
settle();
$follows = false;
endpoint( 'writer', 'refuse' );
$page = fetch( '/' );
expect( 'a visitor does not notice', array( 200, true, 0 ), array( $page['status'], str_contains( $page['body'], 'Split' ), $page['writer'] ) );
$comment = fetch( '/wp-comments-post.php', array( 'comment_post_ID' => '1', 'author' => 'Bob', 'email' => 'bob@example.com', 'comment' => 'Lost?' ) );
expect( 'a comment is not taken for one that was written', array( true, true ), array( $comment['status'] >= 400, str_contains( (string) file_get_contents( '/tmp/errors' ), 'connect to writer:3306' ) ) );

// Nobody is there.
endpoint( 'reader', 'refuse' );
$page = fetch( '/' );
expect( 'no database at all is an error, not an invitation to install', array( 500, true, false ), array( $page['status'], str_contains( $page['body'], 'Error establishing a database connection' ), str_contains( $page['headers'], 'install.php' ) ) );
endpoint( 'writer', 'pass' );
expect( 'with the writer alone the site works, after a moment', true, eventually( static fn() => 200 === fetch( '/' )['status'] ) );
endpoint( 'reader', 'pass', 'replica:3306' );
sql( 'primary', 'DROP TABLE wp_mark' );
