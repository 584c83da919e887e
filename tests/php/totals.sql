-- A site of 5,000 posts, the same each time: what differs from row to row is a checksum of its number.
-- No two have the same date: which of equals comes first would be the database's whim.
DELETE FROM wp_comments; DELETE FROM wp_commentmeta; DELETE FROM wp_posts; DELETE FROM wp_postmeta;
DELETE FROM wp_term_relationships; DELETE FROM wp_term_taxonomy WHERE term_id <> 1; DELETE FROM wp_terms WHERE term_id <> 1;
DELETE FROM wp_users WHERE ID > 1; DELETE FROM wp_usermeta WHERE user_id > 1;
DELETE FROM wp_options WHERE option_name IN ('sticky_posts', 'category_children') OR option_name LIKE '\_transient%';
INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('sticky_posts', 'a:3:{i:0;i:1010;i:1;i:1500;i:2;i:2999;}', 'on');

INSERT INTO wp_users (ID, user_login, user_pass, user_nicename, user_email, user_registered, display_name)
	SELECT 100 + seq, CONCAT('author', seq), '', CONCAT('author', seq), CONCAT('author', seq, '@example.com'), '2015-01-01', CONCAT('Author ', seq) FROM seq_1_to_6;
INSERT INTO wp_usermeta (user_id, meta_key, meta_value) SELECT ID, 'wp_capabilities', 'a:1:{s:6:"author";b:1;}' FROM wp_users WHERE ID > 100;

INSERT INTO wp_posts (ID, post_author, post_date, post_date_gmt, post_modified, post_modified_gmt, post_title, post_name, post_content,
		post_excerpt, to_ping, pinged, post_content_filtered, post_status, post_type, comment_status, guid)
	SELECT 1000 + seq, IF(CRC32(CONCAT('u', seq)) % 9 = 0, 1, 101 + CRC32(CONCAT('u', seq)) % 6), d, d, d, d,
		CONCAT(ELT(1 + CRC32(CONCAT('t', seq)) % 5, 'Ships', 'Rivers', 'Über Land', 'Printing', 'The press'), ' ', seq), CONCAT('post-', seq),
		CONCAT('Number ', seq, ' of ', ELT(1 + CRC32(CONCAT('w', seq)) % 4, 'lead', 'type', 'paper', 'ink')), '', '', '', '', s, 'post', 'open', CONCAT('http://localhost:8080/?p=', 1000 + seq)
	FROM (SELECT seq, CRC32(CONCAT('s', seq)) % 100 AS r,
			IF(CRC32(CONCAT('s', seq)) % 100 BETWEEN 94 AND 96, '2099-01-01', '2015-01-01') + INTERVAL seq * 17 HOUR AS d,
			CASE WHEN CRC32(CONCAT('s', seq)) % 100 < 85 THEN 'publish' WHEN CRC32(CONCAT('s', seq)) % 100 < 90 THEN 'draft' WHEN CRC32(CONCAT('s', seq)) % 100 < 94 THEN 'private'
				WHEN CRC32(CONCAT('s', seq)) % 100 < 97 THEN 'future' WHEN CRC32(CONCAT('s', seq)) % 100 < 99 THEN 'pending' ELSE 'trash' END AS s
		FROM seq_1_to_5000) AS made;
INSERT INTO wp_posts (ID, post_author, post_date, post_date_gmt, post_modified, post_modified_gmt, post_title, post_name, post_content,
		post_excerpt, to_ping, pinged, post_content_filtered, post_status, post_type, post_parent, menu_order, guid)
	SELECT 7000 + seq, 1, '2020-01-01' + INTERVAL seq DAY, '2020-01-01' + INTERVAL seq DAY, '2020-01-01' + INTERVAL seq DAY, '2020-01-01' + INTERVAL seq DAY, CONCAT('Page ', seq), CONCAT('page-', seq), '', '', '', '', '',
		IF(seq % 11 = 0, 'draft', 'publish'), 'page', IF(seq > 20, 7001 + seq % 20, 0), seq % 7, '' FROM seq_1_to_120;
INSERT INTO wp_postmeta (post_id, meta_key, meta_value) SELECT ID, 'rating', CRC32(CONCAT('m', ID)) % 6 FROM wp_posts WHERE post_type = 'post' AND ID % 3 = 0;

INSERT INTO wp_terms (term_id, name, slug) SELECT 10 + seq, CONCAT('Section ', seq), CONCAT('section-', seq) FROM seq_1_to_40
	UNION ALL SELECT 100 + seq, CONCAT('tag ', seq), CONCAT('tag-', seq) FROM seq_1_to_300;
INSERT INTO wp_term_taxonomy (term_taxonomy_id, term_id, taxonomy, description, parent)
	SELECT 10 + seq, 10 + seq, 'category', '', IF(seq > 10, 10 + 1 + seq % 10, 0) FROM seq_1_to_40
	UNION ALL SELECT 100 + seq, 100 + seq, 'post_tag', '', 0 FROM seq_1_to_300;
INSERT IGNORE INTO wp_term_relationships (object_id, term_taxonomy_id)
	SELECT ID, 11 + CRC32(CONCAT('c', ID)) % 40 FROM wp_posts WHERE post_type = 'post'
	UNION ALL SELECT ID, 11 + CRC32(CONCAT('d', ID)) % 40 FROM wp_posts WHERE post_type = 'post' AND ID % 4 = 0
	UNION ALL SELECT ID, 101 + CRC32(CONCAT('e', ID)) % 290 FROM wp_posts WHERE post_type = 'post' AND ID % 2 = 0
	UNION ALL SELECT ID, 101 + CRC32(CONCAT('f', ID)) % 290 FROM wp_posts WHERE post_type = 'post' AND ID % 5 = 0;
UPDATE wp_term_taxonomy t SET count = (SELECT COUNT(*) FROM wp_term_relationships r JOIN wp_posts p ON p.ID = r.object_id
	WHERE r.term_taxonomy_id = t.term_taxonomy_id AND p.post_status = 'publish');

INSERT INTO wp_comments (comment_ID, comment_post_ID, comment_author, comment_author_email, comment_date, comment_date_gmt, comment_content, comment_approved, comment_type, comment_parent)
	SELECT seq, 1001 + CRC32(CONCAT('p', seq)) % 900, CONCAT('Reader ', CRC32(CONCAT('a', seq)) % 200), CONCAT('reader', CRC32(CONCAT('a', seq)) % 200, '@example.com'),
		'2024-01-01' + INTERVAL seq * 13 MINUTE, '2024-01-01' + INTERVAL seq * 13 MINUTE, CONCAT('Comment ', seq),
		CASE WHEN CRC32(CONCAT('k', seq)) % 100 < 80 THEN '1' WHEN CRC32(CONCAT('k', seq)) % 100 < 90 THEN '0' WHEN CRC32(CONCAT('k', seq)) % 100 < 97 THEN 'spam' ELSE 'trash' END,
		IF(CRC32(CONCAT('y', seq)) % 20 = 0, 'pingback', 'comment'), 0 FROM seq_1_to_9000;
UPDATE wp_posts p SET comment_count = (SELECT COUNT(*) FROM wp_comments c WHERE c.comment_post_ID = p.ID AND c.comment_approved = '1');
SELECT COUNT(*) FROM wp_posts WHERE post_type = 'post';
